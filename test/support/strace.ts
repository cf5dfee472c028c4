/** The lines of a trace, a flush that another thread's call interrupted at the place where it was done. */
export function completedCalls(trace: string): string[] {
  const begun = new Map<string, string>();
  return trace.split('\n').flatMap((line) => {
    const thread = line.split(' ')[0] ?? '';
    if (/sync\(.*<unfinished/.test(line)) {
      begun.set(thread, line);
      return [];
    }
    return /<\.\.\. \w*sync\w* resumed/.test(line) ? [begun.get(thread) ?? ''] : [line];
  });
}

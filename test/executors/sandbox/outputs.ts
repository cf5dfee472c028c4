/** Something that a step may leave in /out, as a perl program that makes it there. */
export interface HostileOutput {
  readonly name: string;
  readonly make: string;
}

/** What an artifact cannot hold, with what the error says. */
export interface RefusedOutput extends HostileOutput {
  readonly says: RegExp;
  /** What Docker cannot show us, and leaves out. */
  readonly droppedByDocker?: true;
}

/** Numbers of system calls are those of x86-64. */
export const REFUSED_OUTPUTS: readonly RefusedOutput[] = [
  {
    name: 'an absolute link',
    make: 'symlink "/etc/passwd", "d/x"',
    says: /"d\/x" is an absolute link to "\/etc\/passwd"/,
  },
  { name: 'a link that leads out', make: 'symlink "../../x", "d/x"', says: /"d\/x" is a link that leads out/ },
  {
    name: 'a link that leads out through another',
    make: 'symlink ".", "s"; symlink "s/s/../../etc/passwd", "x"',
    says: /"x" is a link that leads out .* through another/,
  },
  {
    name: 'a named pipe',
    make: 'syscall(133, my $p = "d/x", 0010644, 0) and die $!',
    says: /"d\/x" is a special file/,
  },
  {
    name: 'a socket',
    make: 'use Socket; socket my $s, AF_UNIX, SOCK_STREAM, 0; bind $s, pack_sockaddr_un("d/x") or die $!',
    says: /"d\/x" is a special file/,
    droppedByDocker: true,
  },
  {
    // The one device that needs no right: what an overlay takes for a deleted file.
    name: 'a device',
    make: 'syscall(133, my $p = "d/x", 0020644, 0) and die $!',
    says: /"d\/x" is a special file/,
  },
  { name: 'a setuid bit', make: 'touch("d/x"); chmod 04755, "d/x"', says: /"d\/x" has a setuid or setgid bit/ },
  { name: 'a setgid bit', make: 'mkdir "d/x"; chmod 02755, "d/x"', says: /"d\/x" has a setuid or setgid bit/ },
  { name: 'a name that is not UTF-8', make: 'touch("d/\\xff\\xfe")', says: /not UTF-8/ },
  { name: 'a folder whose name is not UTF-8', make: 'mkdir "d/\\xc3"; touch("d/\\xc3/f")', says: /not UTF-8/ },
  { name: 'a link to a name that is not UTF-8', make: 'symlink "\\xff", "d/x"', says: /not UTF-8/ },
  {
    name: 'a path that is too long',
    make: 'for (1 .. 16) { mkdir "n" x 200; chdir "n" x 200 } touch("f")',
    says: /path of more than 3072 bytes/,
  },
  {
    name: 'folders deeper than the kernel can name',
    make: 'for (1 .. 60) { mkdir "n" x 200; chdir "n" x 200 } touch("f")',
    says: /path of more than 3072 bytes/,
  },
];

/** What an artifact can hold, although it is strange; all in one tree. */
export const STORED_OUTPUTS: readonly HostileOutput[] = [
  { name: 'names of 255 bytes', make: 'touch("l" x 255); touch("ü" x 127)' },
  { name: 'names equal but for case', make: 'touch($_) for qw(case Case CASE); mkdir "cAsE"' },
  { name: 'names that unify to the same', make: 'touch("e\\xcc\\x81"); touch("\\xc3\\xa9")' },
  {
    name: 'control characters',
    make: 'touch("new\\nline"); touch("\\e[31mred\\a"); touch("tab\\t\\r"); touch("\\x7f")',
  },
  {
    name: 'names like options and patterns',
    make: 'touch($_) for "-rf", "*", "?", "[", "~", "\\\\", " ", "%s", "\\$(id)", "..."',
  },
  { name: 'a deep tree', make: 'for (1 .. 1000) { mkdir "d"; chdir "d" } touch("f"); chdir "/out"' },
  { name: 'a dangling link', make: 'symlink "nowhere/at/all", "dangling"' },
  { name: 'a link to itself', make: 'symlink "loop", "loop"; symlink "b", "a"; symlink "a", "b"' },
  { name: 'a winding link that stays inside', make: 'symlink "d/../case", "winding"' },
  { name: 'files with several names', make: 'touch("one"); link "one", "two"; link "one", "d/three"' },
  {
    name: 'a sparse file',
    make: 'open my $f, ">", "sparse"; seek $f, 8 << 20, 0; syswrite $f, "x"; truncate $f, 9 << 20',
  },
  {
    name: 'odd modes',
    make: 'touch("none"); chmod 0, "none"; mkdir "sticky"; chmod 01777, "sticky"; mkdir "closed"; touch("closed/f"); chmod 0, "closed"',
  },
  { name: 'times before and after all time', make: 'utime -1e9, -1e9, "one"; utime 2**33, 2**33, "two"' },
  { name: 'many files', make: 'mkdir "many"; touch("many/$_") for 1 .. $many' },
  { name: 'a closed root', make: 'chmod 0, "/out"' },
];

/** The program of a step that leaves these outputs. */
export function makeOutputs(outputs: readonly HostileOutput[], many = 0): string {
  const begin = `use strict; my $many = ${many}; sub touch { open my $file, '>', $_[0] or die "$_[0]: $!"; print $file $_[0] }`;
  return [begin, 'chdir "/out"; mkdir "d"', ...outputs.map(({ make }) => make)].join(';\n');
}

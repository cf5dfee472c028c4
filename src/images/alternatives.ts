import type { ImageTree } from './imageTree.ts';

/**
 * What `update-alternatives` would have set up, as links straight to the program: link → programs, best
 * first by the priorities that the packages register. A link that a package ships itself is left alone.
 */
const ALTERNATIVES: Readonly<Record<string, readonly string[]>> = {
  'usr/bin/aclocal': ['usr/bin/aclocal-1.17', 'usr/bin/aclocal-1.16'],
  'usr/bin/automake': ['usr/bin/automake-1.17', 'usr/bin/automake-1.16'],
  'usr/bin/awk': ['usr/bin/gawk', 'usr/bin/mawk', 'usr/bin/original-awk'],
  'usr/bin/c++': ['usr/bin/g++', 'usr/bin/clang++'],
  'usr/bin/c89': ['usr/bin/c89-gcc'],
  'usr/bin/c99': ['usr/bin/c99-gcc'],
  'usr/bin/cc': ['usr/bin/gcc', 'usr/bin/clang'],
  'usr/bin/editor': ['usr/bin/vim.basic', 'usr/bin/nano', 'usr/bin/vim.tiny'],
  'usr/bin/fakeroot': ['usr/bin/fakeroot-sysv', 'usr/bin/fakeroot-tcp'],
  'usr/bin/lzcat': ['usr/bin/xzcat', 'usr/bin/lzcat.lzma'],
  'usr/bin/lzma': ['usr/bin/xz', 'usr/bin/lzma.alone'],
  'usr/bin/nawk': ['usr/bin/gawk', 'usr/bin/mawk', 'usr/bin/original-awk'],
  'usr/bin/pager': ['usr/bin/less', 'usr/bin/more'],
  'usr/bin/unlzma': ['usr/bin/unxz'],
  'usr/bin/which': ['usr/bin/which.debianutils', 'usr/bin/which.gnu'],
  'usr/bin/yacc': ['usr/bin/bison.yacc', 'usr/bin/byacc'],
  'usr/lib/cpp': ['usr/bin/cpp'],
  'usr/sbin/rmt': ['usr/sbin/rmt-tar', 'usr/sbin/rmt-cpio'],
};

/** Adds the links whose program is installed. */
export function addAlternatives(tree: ImageTree): void {
  for (const [link, programs] of Object.entries(ALTERNATIVES)) {
    const program = programs.find((path) => tree.has(path));
    if (program !== undefined && !tree.has(link)) tree.set(link, { type: 'symlink', target: `/${program}` });
  }
}

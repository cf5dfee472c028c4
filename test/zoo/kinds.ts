/** One kind of nondeterminism, as the smallest recipe that has it, and its twin that has been cured. */
export interface Kind {
  readonly name: string;
  /** Bash; what it writes to /out depends on what it must not depend on. */
  readonly broken: string;
  /** The same without the fault. */
  readonly cured: string;
  /**
   * The axis that shows it; `every build` if it needs none, because each build gives other bytes. (`aslr` is found out
   * of these by taking the randomness away.)
   */
  readonly axis: string;
  /** Others that show it as well. */
  readonly also?: readonly string[];
  /** `firmware` has a compiler. */
  readonly image?: 'firmware';
}

const EVERY_BUILD = 'every build';

/** Fifty names whose order in a folder is that of no list. */
const MAKE_NAMES = 'mkdir names; for n in $(seq 50); do : > names/$n-name; done;';

/** A PE file, by way of an ELF file, as EDK2 makes them. */
const MAKE_PE = (compile: string): string =>
  `echo 'int main(void) { return 0; }' > a.c; ${compile} a.c; ld -e main -o a a.o; objcopy -O pei-x86-64 a /out/a.efi`;

export const KINDS: readonly Kind[] = [
  // The clock
  {
    name: 'clock-fallback',
    axis: 'clock',
    broken: 'date +%Y > /out/v',
    cured: 'date -d @$SOURCE_DATE_EPOCH +%Y > /out/v',
  },
  {
    name: 'far-future',
    axis: 'clock',
    broken: '[ $(date +%s) -lt 1860000000 ] && echo 32 > /out/v || echo 64 > /out/v',
    cured: 'echo 64 > /out/v',
  },
  {
    name: 'gzip-time',
    axis: EVERY_BUILD,
    broken: 'echo x > f; touch f; gzip f; sleep 1; cp f.gz /out',
    cured: 'echo x > f; gzip -n f; cp f.gz /out',
  },
  {
    name: 'zip-time',
    axis: EVERY_BUILD,
    image: 'firmware',
    // Zip counts in steps of two seconds.
    broken: 'echo x > f; touch f; python3 -m zipfile -c /out/v.zip f; sleep 2',
    cured: `python3 -c "import zipfile; zipfile.ZipFile('/out/v.zip', 'w').writestr(zipfile.ZipInfo('f'), 'x')"`,
  },
  {
    name: 'tar-mtime',
    axis: EVERY_BUILD,
    broken: 'echo x > f; tar -cf /out/t.tar f; sleep 1',
    cured:
      'echo x > f; tar --mtime=@$SOURCE_DATE_EPOCH --owner=0 --group=0 --numeric-owner --mode=644 -cf /out/t.tar f',
  },
  {
    name: 'date-macro',
    axis: 'clock',
    image: 'firmware',
    broken: "echo 'char *d = __DATE__;' > a.c; env -u SOURCE_DATE_EPOCH TZ=UTC gcc -c -o /out/a.o a.c",
    cured: "echo 'char *d = __DATE__;' > a.c; gcc -c -o /out/a.o a.c",
  },

  // Order
  {
    name: 'directory-order',
    axis: 'directory-order',
    broken: 'ls -U /in/names > /out/v',
    cured: 'ls /in/names > /out/v',
  },
  {
    name: 'image-order',
    axis: 'image-order',
    broken: 'ls -U /usr/bin > /out/v',
    cured: 'ls /usr/bin > /out/v',
  },
  {
    name: 'find-order',
    axis: 'file-system',
    broken: `${MAKE_NAMES} find names -type f > /out/v`,
    cured: `${MAKE_NAMES} find names -type f | sort > /out/v`,
  },
  {
    name: 'hash-order',
    axis: EVERY_BUILD,
    broken: `perl -e 'my %h = map { $_ => 1 } 1 .. 50; print keys %h' > /out/v`,
    cured: `perl -e 'my %h = map { $_ => 1 } 1 .. 50; print sort keys %h' > /out/v`,
  },

  // Inputs and file systems
  {
    name: 'inodes',
    axis: 'input-times',
    // Any copy is another file.
    also: ['directory-order'],
    broken: 'stat -c %i /in/names/1 > /out/v',
    cured: 'stat -c %s /in/names/1 > /out/v',
  },
  {
    name: 'warm-cache',
    axis: 'input-times',
    broken:
      '[ /in/names/1 -nt /in/names/2 ] && echo rebuilt > /out/v || echo cached > /out/v; [ /in/names/2 -nt /in/names/1 ] && echo older >> /out/v || :',
    cured: 'echo rebuilt > /out/v',
  },
  { name: 'file-system', axis: 'file-system', broken: 'stat -f -c %T . > /out/v', cured: 'echo any > /out/v' },

  // The machine
  { name: 'kernel-version', axis: 'kernel', broken: 'uname -r > /out/v', cured: 'uname -s > /out/v' },
  {
    name: 'cpu-flags',
    axis: 'cpu-flags',
    broken: 'grep -c sse4_2 /proc/cpuinfo > /out/v || :',
    cured: 'echo baseline > /out/v',
  },
  { name: 'cpu-count', axis: 'cpus', broken: 'nproc > /out/v', cured: 'echo 4 > /out/v' },
  {
    name: 'thread-count',
    axis: 'jobs',
    broken: 'seq 1000 > all; split -n l/$VMBUILD_JOBS all part-; for p in part-*; do gzip -nc $p; done > /out/v.gz',
    cured: 'seq 1000 > all; split -n l/4 all part-; for p in part-*; do gzip -nc $p; done > /out/v.gz',
  },
  {
    name: 'race',
    axis: 'jobs',
    // Half a second between any two ends, so that a machine under load does not change the order.
    broken: 'echo 3.5 1 1 1 1 1 | tr " " "\\n" | xargs -P $VMBUILD_JOBS -I{} sh -c "sleep {}; echo {} >> /out/v"',
    cured: 'seq 6 | xargs -P $VMBUILD_JOBS -I{} sh -c "echo {} > {}"; cat 1 2 3 4 5 6 > /out/v',
  },
  { name: 'priority', axis: 'load', broken: 'nice > /out/v', cured: 'echo 0 > /out/v' },
  {
    name: 'address',
    axis: 'aslr',
    broken: 'grep -F [stack] /proc/self/maps > /out/v',
    cured: 'grep -c -F [stack] /proc/self/maps > /out/v',
  },
  {
    name: 'padding',
    axis: 'aslr',
    image: 'firmware',
    broken: `cat > a.c <<'C'
#include <stdio.h>
struct s { char c; void *here; };
int main(void) { struct s s; s.c = 1; s.here = &s; return fwrite(&s, sizeof s, 1, stdout) != 1; }
C
gcc -o a a.c; ./a > /out/v`,
    cured: `cat > a.c <<'C'
#include <stdio.h>
#include <string.h>
struct s { char c; long value; };
int main(void) { struct s s; memset(&s, 0, sizeof s); s.c = 1; s.value = 2; return fwrite(&s, sizeof s, 1, stdout) != 1; }
C
gcc -o a a.c; ./a > /out/v`,
  },

  // Chance
  {
    name: 'urandom',
    axis: EVERY_BUILD,
    broken: 'head -c 16 /dev/urandom > /out/v',
    cured: 'head -c 16 /dev/zero > /out/v',
  },
  {
    name: 'uuid',
    axis: EVERY_BUILD,
    broken: 'cat /proc/sys/kernel/random/uuid > /out/v',
    cured: 'echo 00000000-0000-4000-8000-000000000000 > /out/v',
  },
  {
    name: 'left-over',
    axis: EVERY_BUILD,
    broken: 'echo x > /out/v; mktemp /out/tmp.XXXXXXXX',
    cured: 'echo x > /out/v; mktemp',
  },

  // What the sandbox fixes
  { name: 'build-path', axis: 'build-path', broken: 'pwd > /out/v', cured: 'echo . > /out/v' },
  {
    name: 'build-path-elf',
    axis: 'build-path',
    image: 'firmware',
    broken: 'echo "int a;" > a.c; gcc -g -c -o /out/a.o a.c',
    cured: 'echo "int a;" > a.c; gcc -g -ffile-prefix-map="$PWD"=. -gno-record-gcc-switches -c -o /out/a.o a.c',
  },
  {
    name: 'build-path-pe',
    axis: 'build-path',
    image: 'firmware',
    broken: MAKE_PE('gcc -g -c'),
    cured: MAKE_PE('gcc -g -ffile-prefix-map="$PWD"=. -gno-record-gcc-switches -c'),
  },
  {
    // strip takes away what the hash was made of, and leaves the hash.
    name: 'build-path-build-id',
    axis: 'build-path',
    image: 'firmware',
    broken: "echo 'int main(void) { return 0; }' > a.c; gcc -g -o /out/a a.c; strip /out/a",
    cured: "echo 'int main(void) { return 0; }' > a.c; gcc -g0 -o /out/a a.c; strip /out/a",
  },
  { name: 'user', axis: 'user', broken: 'id -u > /out/v', cured: 'echo 0 > /out/v' },
  { name: 'home', axis: 'home', broken: 'echo ~ > /out/v', cured: 'echo /nonexistent > /out/v' },
  { name: 'host-name', axis: 'host-name', broken: 'uname -n > /out/v', cured: 'echo localhost > /out/v' },
  {
    name: 'locale',
    axis: 'locale',
    broken: "printf '\\303\\251' | wc -m > /out/v",
    cured: "printf '\\303\\251' | wc -c > /out/v",
  },
  {
    name: 'time-zone',
    axis: 'time-zone',
    broken: 'date -d @$SOURCE_DATE_EPOCH +%H > /out/v',
    cured: 'date -u -d @$SOURCE_DATE_EPOCH +%H > /out/v',
  },
  {
    name: 'umask',
    axis: 'umask',
    broken: ': > f; stat -c %a f > /out/v',
    cured: ': > f; chmod 644 f; stat -c %a f > /out/v',
  },
  { name: 'environment', axis: 'environment', broken: 'env | grep -c ^VERIFY > /out/v || :', cured: 'echo 0 > /out/v' },
  { name: 'path', axis: 'environment', broken: 'echo "$PATH" > /out/v', cured: 'command -v sh > /out/v' },
  {
    name: 'stdin',
    axis: 'stdin',
    broken: '[ -p /dev/stdin ] && echo pipe > /out/v || echo none > /out/v',
    cured: 'echo none > /out/v',
  },
  { name: 'rlimits', axis: 'rlimits', broken: 'ulimit -n > /out/v', cured: 'echo 1024 > /out/v' },
];

/** What no axis can show, because a step cannot have it: name → Bash. */
export const IMPOSSIBLE = {
  network: 'if (exec 3<>/dev/tcp/1.1.1.1/80) 2> /dev/null; then date > /out/v; else echo none > /out/v; fi',
  // The length of the short hash grows with a clone's objects. Sources are archives and trees, without a repository.
  'git-describe': 'git describe --always --dirty > /out/v 2> /dev/null || echo none > /out/v',
  // In which order and when packages were installed: an image has one digest, and assembling it in any order gives that one
  // (test/images/assemble.test.ts).
  'package-order': "stat -c '%n %Y %s' /usr/bin/* > /out/v; cat /etc/passwd >> /out/v",
};

export { EVERY_BUILD };

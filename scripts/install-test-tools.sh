#!/bin/sh
# Installs what some tests need and skip by name where it is missing (Debian, Ubuntu; root).
set -eu
need=''
command -v strace >/dev/null || need="$need strace"
command -v faketime >/dev/null || need="$need faketime"
command -v docker-registry >/dev/null || need="$need docker-registry"
command -v lz4 >/dev/null || need="$need lz4"
command -v cbfstool >/dev/null || need="$need coreboot-utils"
[ -x /usr/lib/openssh/sftp-server ] && command -v sshfs >/dev/null || need="$need sshfs openssh-sftp-server"
servers=$(dirname "$0")/cache-server.sh
"$servers" install nginx
# Five minutes of processor time at the first time, where there is Go; the tests of S3 are skipped by name without it.
if command -v go >/dev/null; then "$servers" install s3 || :; fi
[ -n "$need" ] || exit 0
[ "$(id -u)" = 0 ] || { echo "install-test-tools: run as root: apt-get install$need" >&2; exit 1; }
# shellcheck disable=SC2086 # a list of package names
apt-get install -y --no-install-recommends $need || { apt-get update && apt-get install -y --no-install-recommends $need; }

#!/bin/sh
# Starts the vmbuild that lies beside this file. `vmbuild export` has put it here with the Node that runs it, so
# nothing needs to be installed. Its store is beside it, too, unless another is named.
set -eu
self=$0
if [ -L "$self" ]; then self=$(readlink -f "$self"); fi
case $self in
  */*) here=$(cd "${self%/*}" && pwd) ;;
  *) here=$(pwd) ;;
esac
export VMBUILD_STORE="${VMBUILD_STORE:-$here/store}"
# Backwards, because each goes before those that are there: the first of the command line is the first again.
for number in 9 8 7 6 5 4 3 2 1; do
  recipes=$here/project/$number/recipes
  if [ -d "$recipes" ]; then set -- --recipes "$recipes" "$@"; fi
done
bin=$here/program/bin/vmbuild
# An installed package keeps its place between its dependencies.
[ -f "$bin" ] || bin=$here/program/node_modules/vmbuild/bin/vmbuild
exec "$bin" "$@"

#!/usr/bin/env bash
# Takes iasl out of Debian's package.
#   /in/acpica-tools.deb
#   /recipe/iasl
#   -> /out/bin/iasl, which starts /out/lib/iasl/iasl
set -euo pipefail

dpkg-deb -x /in/acpica-tools.deb debian
install -D debian/usr/bin/iasl /out/lib/iasl/iasl
install -D /recipe/iasl /out/bin/iasl
/out/bin/iasl -v

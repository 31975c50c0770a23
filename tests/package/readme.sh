#!/bin/sh
# SPDX-License-Identifier: MIT
# readme.sh SUITE: on a Debian of its own, with the last commit: the README's commands from nothing to
# a flashed board and back, as they are printed there, then `make check`, and what clang says.
set -eu
cd "$(dirname "$0")/../.."
. tests/package/chroot.sh
debian "$1"
mkdir "$root/moonflash"
git archive HEAD | tar x -C "$root/moonflash"
inside "apt-get update -q && apt-get install -y -q --no-install-recommends make sudo" >/dev/null

# `make demo` runs the recipe discovery itself.
awk '/^## / { on = /Without a board/ } on && /^```sh$/ { sh = 1; next } /^```/ { sh = 0 }
  on && sh { print } on && /^\$ / && !/discovery/ { print substr($0, 3) }' README.md >"$root/moonflash/commands"
echo "The README's commands:"
cat "$root/moonflash/commands"
[ "$(wc -l <"$root/moonflash/commands")" -eq 5 ]
inside "cd /moonflash && sh -ex commands >said" || {
  tail -n 20 "$root/moonflash/said"
  exit 1
}
[ "$(tail -n 1 "$root/moonflash/said")" = "the same" ]
tail -n 5 "$root/moonflash/said"

inside "cd /moonflash && make check"
inside "cd /moonflash && make WERROR=-Werror clang"

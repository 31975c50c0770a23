#!/bin/sh
# SPDX-License-Identifier: MIT
# install.sh FILE.deb: installs the package in a Debian 12 of its own, beside dfu-util, uses it, and
# removes it.
# The last line is "N passed, N failed, N skipped".
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/verdict.sh
. tests/package/chroot.sh
debian bookworm
cp "$1" "$root/tmp/moonflash.deb"
# A minimal Debian leaves manual pages out.
rm -f "$root"/etc/dpkg/dpkg.cfg.d/*

# works NAME COMMAND [PATTERN]: it ends with 0, and prints that.
works() {
  inside "$2" >"$root/tmp/said" 2>&1 && grep -q -e "${3:-}" "$root/tmp/said"
  verdict "$1" "$([ $? -eq 0 ] || tail -n 8 "$root/tmp/said")"
}

works "it installs, beside dfu-util" "apt-get update -q && apt-get install -y -q --no-install-recommends \
  dfu-util man-db bash-completion /tmp/moonflash.deb"
works "it tells its version" "moonflash --version" "^moonflash 0"
works "dfu-util is Debian's" "dfu-util --version" "^dfu-util 0"
works "the stand-in is ours" "/usr/lib/moonflash/bin/dfu-util --version"
works "a manual page" "man moonflash" "flashes boards over USB DFU"
works "whatis" "mandb -q; whatis moonflash-recipe" "a recipe of moonflash"
works "the manual in the program" "moonflash help docs/station" "From a board"
works "a board is flashed" "moonflash recipes --show examples/product >/tmp/product.lua &&
  head -c 4096 /dev/zero >/tmp/zeros && printf '\000\000\002\040\001\001\000\010' >/tmp/firmware.bin &&
  cat /tmp/zeros >>/tmp/firmware.bin && moonflash -d sim:f407 flash /tmp/firmware.bin --leave" "verified, started"
works "a first recipe and its test" "cd /tmp && moonflash recipes --new blink && cd blink && moonflash test" \
  "^ok 2"
works "the types are found" "grep /usr/share/moonflash/library /tmp/blink/.luarc.json"
works "completion" "moonflash complete flash --le" "^--leave"
works "the udev rule" "grep 0483 /usr/lib/udev/rules.d/70-moonflash.rules" uaccess
works "a station, with its page" "cd /tmp && moonflash -d sim:f407 station --folder line --page 0 \
  --units 1 blink/blink.lua firmware.bin" "1 unit passed"
inside "rm -rf /tmp/blink /tmp/line"
works "it is removed" "apt-get purge -y -q moonflash"
verdict "nothing of it is left" "$(inside "find / -xdev -path /tmp -prune -o \
  -path /var/cache/man -prune -o -name '*moonflash*' -print")" # man keeps pages that were read

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

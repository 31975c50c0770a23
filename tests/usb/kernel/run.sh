#!/bin/sh
# SPDX-License-Identifier: MIT
# The kernel bed: Debian's stock kernel boots in QEMU, simulated boards are plugged into it over
# USB/IP, and moonflash and dfu-util work on them through libusb and usbfs. docs/testing.md.
#
#   tests/usb/kernel/run.sh [CASE...]    all cases, or those of that name (cases/CASE.sh)
#   V=1 tests/usb/kernel/run.sh CASE     with all that it prints, also when it passes
#
# MOONFLASH_BED is the moonflash that is tested (build/moonflash). The guests' consoles are kept in
# build/usb-kernel/.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../../.." || exit 1
moonflash=${MOONFLASH_BED:-build/moonflash}
recorded=tests/data/dfu-util-0.11-f407.log
seconds=600 # at most, for a guest; a quiet machine with two cores needs a tenth of it

skip() {
  echo "skipped: usb/kernel: $1"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}

PATH=$PATH:/usr/sbin:/sbin
for program in qemu-system-x86_64 cpio modinfo busybox usbip dfu-util; do
  command -v "$program" >/dev/null || skip "$program is missing: 'make deps-test' installs it"
done
ldd "$(command -v busybox)" >/dev/null 2>&1 &&
  skip "busybox is not linked statically: Debian's busybox-static is"
[ "$(uname -m)" = x86_64 ] || skip "the guest is x86-64, and runs programs of this machine"
kernel=$("$here/kernel.sh") || skip "no kernel: $kernel"
if ! [ -x "$moonflash" ] || ! [ -f build/ch.bin ]; then
  echo "$moonflash or build/ch.bin is missing: 'make all firmware' builds them"
  exit 1
fi

work=$(mktemp -d) || exit 1
root=$work/root
trap 'rm -rf "$work"' EXIT
# ---- the initramfs: what all guests have, and the cases of each behind it ----

pack() { (cd "$1" && find . | cpio -o -H newc --quiet -R 0:0); }

mkdir -p "$root/bin" "$root/usr/bin" "$root/etc" "$root/modules" "$root/tests" || exit 1
cp "$here/init" "$root/init"
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$moonflash" "$root/usr/bin/moonflash"
for program in usbip dfu-util; do
  cp "$(command -v $program)" "$root/usr/bin/"
done
for file in "$root"/usr/bin/*; do
  ldd "$file" | sed -n 's/^[^/]*\(\/[^ ]*\) (0x.*/\1/p'
done | sort -u | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
cp "$kernel"/*.ko "$kernel/modules" "$root/modules/"
cp build/ch.bin "$here/lib.sh" "$here"/*.lua "$root/tests/"
cp "$recorded" "$root/tests/dfu-util.log"
printf 'root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n' >"$root/etc/passwd"
[ -z "${V:-}" ] || touch "$root/tests/verbose"
[ -z "${SOAK:-}" ] || touch "$root/tests/soak"
pack "$root" >"$work/base.cpio" || exit 1

# Two guests, for two cores; a case says in a line of its own that it goes to the second.
if [ $# -eq 0 ]; then
  set -- "$here"/cases/*.sh
fi
for name; do
  case=$here/cases/$(basename "$name" .sh).sh
  guest=first
  grep -qx '# guest: second' "$case" && guest=second
  mkdir -p "$work/$guest/tests/cases"
  cp "$case" "$work/$guest/tests/cases/" || exit 1
done

# ---- the guests, side by side ----

began=$(date +%s)

# One processor each: with two, the kernel's threads for USB/IP wait for each other.
boot() {
  pack "$work/$1" | cat "$work/base.cpio" - >"$work/$1.cpio"
  timeout -k 5 $seconds qemu-system-x86_64 -accel tcg -cpu max -m 512 -nodefaults -no-reboot \
    -display none -serial "file:$work/$1.log" -kernel "$kernel/vmlinuz" -initrd "$work/$1.cpio" \
    -append "console=ttyS0 quiet panic=-1 mitigations=off" </dev/null >"$work/$1.err" 2>&1 &
  running="$running $!"
}

guests=$(cd "$work" && for folder in */tests/cases; do echo "${folder%%/*}"; done)
running=
trap 'kill $running; exit 130' INT TERM HUP
for guest in $guests; do
  boot "$guest"
done
wait
trap - INT TERM HUP

logs=build/usb-kernel
mkdir -p $logs
for guest in $guests; do
  cat "$work/$guest.log" "$work/$guest.err" | tr -d '\r' >"$logs/$guest.log"
  grep -q '^bed: done' "$logs/$guest.log" ||
    echo "not ok end: guest '$guest' did not come to its end within $seconds s" >>"$logs/$guest.log"
  cat "$logs/$guest.log"
done >"$work/all.log"
echo "figure: $(($(date +%s) - began)) s in the guests" >>"$work/all.log"
grep -v '^record: ' "$work/all.log"

if [ -n "${RECORD:-}" ] && grep -q '^record: ' "$work/all.log"; then
  { grep '^#' "$recorded"; sed -n 's/^record: //p' "$work/all.log"; } >"$work/recorded"
  cp "$work/recorded" "$recorded"
fi

failed=$(grep -c '^not ok ' "$work/all.log")
echo "$(grep -c '^ok ' "$work/all.log") passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]

#!/bin/sh
# SPDX-License-Identifier: MIT
# The serial port of an application, as board:wait_app finds it in sysfs: a /sys and a /dev that are
# made up (umockdev-run), in the layouts that Linux has.
# The last line is "N passed, N failed, N skipped".
set -u
MOONFLASH=${MOONFLASH:-$(dirname "$0")/../../build/moonflash}
command -v umockdev-run >/dev/null || {
  echo "skipped: umockdev-run is not there (Debian: umockdev)"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
passed=0 failed=0
bus=/devices/pci0000:00/0000:00:14.0/usb1

# device PATH NUMBER: a CDC-ACM device, 0483:5740, at that place.
device() {
  cat <<EOF
P: $bus/$1
N: bus/usb/001/00$2
E: SUBSYSTEM=usb
E: DEVTYPE=usb_device
A: busnum=1\n
A: devnum=$2\n
H: descriptors=1201000202000040830440570002010203010902430002010\
0C0320904000001020201000524001001052401000104240202052406000107058203080010090401000\
20A0000000705010240000007058102400000

EOF
}

# interface PATH, tty FOLDER NAME
interface() {
  printf 'P: %s/%s/%s\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_interface\n\n' "$bus" "${1%:*}" "$1"
}
tty() {
  printf 'P: %s/%s/%s\nN: %s\nE: SUBSYSTEM=tty\n\n' "$bus" "$1" "$2" "$2"
}

# finds NAME WANTED: what wait_app tells of the one at 1-4, of what stands in $place/devices.
finds() {
  says=$(ASAN_OPTIONS=verify_asan_link_order=0 umockdev-run --device="$place/devices" -- \
    "$MOONFLASH" -e 'print(dfu.at("1-4"):wait_app(0.2).tty)' 2>&1 | grep -v '^ERROR: uevent_sender') # of umockdev, where no udev runs
  if [ "$says" = "$2" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'failed: %s: %s, not %s\n' "$1" "$says" "$2"
  fi
}

{
  device 1-4 9
  interface 1-4:1.0
  tty 1-4/1-4:1.0/tty ttyACM3
} >"$place/devices"
finds "class CDC-ACM" /dev/ttyACM3
{
  device 1-4 9
  interface 1-4:1.0
  interface 1-4:1.1
  tty 1-4/1-4:1.1/ttyUSB0/tty ttyUSB0
} >"$place/devices"
finds "a driver of its own" /dev/ttyUSB0
{
  device 1-4 9
  interface 1-4:1.2
  tty 1-4/1-4:1.2/tty ttyACM0
  interface 1-4:1.0
  tty 1-4/1-4:1.0/tty ttyACM1
} >"$place/devices"
finds "the first of two" /dev/ttyACM1
{
  device 1-4 9
  interface 1-4:1.0
  device 1-4.2 8
  interface 1-4.2:1.0
  tty 1-4.2/1-4.2:1.0/tty ttyACM0
} >"$place/devices"
finds "not that of another device" nil

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]

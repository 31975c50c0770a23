# SPDX-License-Identifier: MIT
# Run-time mode to DFU mode and back, on a board with plain DFU 1.1. (The 5 seconds that going back
# takes are vhci_hcd's: after the reset it waits for a device whose connection was closed.)
. /tests/lib.sh
serve sim:dfu11,times=zero
plug 1-1
keep_plugged 1-1

status 0 moonflash list
says out "1209:0001"
says out "running; 'moonflash detach' puts it into DFU mode"
status 69 moonflash info
says err "'moonflash -d 1-1 detach' puts it into DFU mode."
status 0 moonflash detach
status 0 moonflash list
says out "1209:0002"
dfu-util -l | grep -q 'Found DFU: \[1209:0002\]' || fail "dfu-util does not see it in DFU mode"

head -c 3000 /tests/ch.bin >small.bin
status 0 moonflash flash small.bin@0 --force
says err "NOT VERIFIED"
runs() { grep -qs 0001 /sys/bus/usb/devices/1-1/idProduct; }
within 20 runs || fail "it does not run its program"

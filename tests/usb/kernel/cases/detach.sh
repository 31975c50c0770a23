# SPDX-License-Identifier: MIT
# Run-time mode to DFU mode and back, on a board with plain DFU 1.1. It goes back at a USB reset, for
# whose end the kernel would wait 5 seconds if the server only closed the connection.
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
began=$(now)
status 0 moonflash flash small.bin@0 --force
says err "NOT VERIFIED"
runs() { grep -qs 0001 /sys/bus/usb/devices/1-1/idProduct; }
within 20 runs || fail "it does not run its program"
figure "flashed, and back in run-time mode after the reset: $(since "$began") s"

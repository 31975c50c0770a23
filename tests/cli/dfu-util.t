In the place of dfu-util, dfu-suffix and dfu-prefix; what the bed with the original compares is in
tests/usb/umockdev/cases/dfu_util.lua.

$ moonflash dfu-util -V
dfu-util 0.11
moonflash ~.~.~, in its place: report bugs to moonflash
$ ln -s "$(command -v moonflash)" dfu-util; ./dfu-util -V | head -1
dfu-util 0.11
$ moonflash dfu-util -l
dfu-util 0.11
moonflash ~.~.~, in its place: report bugs to moonflash
$ moonflash -d sim:dfu11 dfu-util -l
dfu-util 0.11
moonflash ~.~.~, in its place: report bugs to moonflash
Found Runtime: [1209:0001] ver=0100, devnum=1, cfg=1, intf=0, path="sim:dfu11", alt=0, name="DFU run-time", serial="D110000001"
$ moonflash dfu-util -a 0 -D ch.bin
dfu-util: No DFU capable USB device available
dfu-util 0.11
moonflash ~.~.~, in its place: report bugs to moonflash
[status 74]
$ moonflash dfu-util --dev 0483:df11 2>&1 | head -2
dfu-util: the option '--dev' is ambiguous: --device, --devnum
Usage: dfu-util OPTION ...
$ moonflash dfu-util -D nothing.bin
dfu-util: Could not open file nothing.bin for reading: No such file or directory
dfu-util 0.11
moonflash ~.~.~, in its place: report bugs to moonflash
[status 66]
$ moonflash --virtual-time -d sim:f407,flash=board.img dfu-util -a 0 -s 0x08000000:leave -D ch.bin | tail -6
Verified
File downloaded successfully
Submitting leave request...
Transitioning to dfuMANIFEST state
DFU state(7) = dfuMANIFEST, status(0) = No error condition is present
Done!
$ moonflash --virtual-time -d sim:f407,flash=board.img dfu-util -a 0 -s 0x08000000:58836 -U back.bin | tail -1; cmp back.bin ch.bin
Upload done.
$ moonflash --virtual-time -d sim:f407,flash=board.img dfu-util -a 0 -s 0x08000000 -U back.bin | tail -1
dfu-util: Cannot open file back.bin for writing: File exists
DfuSe interface name: "Internal Flash  "
$ moonflash -d sim:f407 dfu-util -a 0 -s 0x09000000 -D ch.bin | tail -1
dfu-util: Last page at 0x0900e5d3 is not writeable
DfuSe interface name: "Internal Flash  "
$ moonflash convert ch.bin ch.hex; moonflash -d sim:f407 dfu-util -a 0 -s 0x08000000 -D ch.hex | tail -1
ch.hex: 57.5 KB in 1 segment, 0x08000000..0x0800E5D3
dfu-util: ch.hex is Intel HEX, with addresses of its own (from 0x08000000), and not raw
  'moonflash flash' writes it.
DfuSe interface name: "Internal Flash  "
$ moonflash --virtual-time -d sim:dfu11 dfu-util -D ch.bin | tail -2
dfu-util: the board was written, and not verified: plain DFU starts the program at once
DFU state(7) = dfuMANIFEST, status(0) = No error condition is present
Done!
$ cp ch.bin f.bin; moonflash dfu-suffix -v 0483 -p df11 -a f.bin
dfu-suffix (dfu-util) 0.11
moonflash ~.~.~, in its place: report bugs to moonflash
Suffix successfully added to file
$ moonflash dfu-suffix -a f.bin
dfu-suffix: Please remove existing DFU suffix before adding a new one.
dfu-suffix (dfu-util) 0.11
moonflash ~.~.~, in its place: report bugs to moonflash
[status 65]
$ moonflash dfu-suffix -c f.bin
dfu-suffix (dfu-util) 0.11
moonflash ~.~.~, in its place: report bugs to moonflash
The file f.bin contains a DFU suffix with the following properties:
BCD device:	0xFFFF
Product ID:	0xDF11
Vendor ID:	0x0483
BCD DFU:	0x0100
Length:		16
CRC:		0x70160467
$ moonflash -d sim:dfu11 dfu-util -D f.bin | tail -1
dfu-util: Error: File ID 0483:df11 does not match device (1209:0001 or 1209:0001)
Run-Time device DFU version 0110
$ moonflash dfu-suffix -D f.bin; cmp f.bin ch.bin
dfu-suffix (dfu-util) 0.11
moonflash ~.~.~, in its place: report bugs to moonflash
Suffix successfully removed from file
$ moonflash dfu-prefix -s 0x4000 -a f.bin; moonflash dfu-prefix -c f.bin
dfu-prefix (dfu-util) 0.11
moonflash ~.~.~, in its place: report bugs to moonflash
Adding prefix to file
dfu-prefix (dfu-util) 0.11
moonflash ~.~.~, in its place: report bugs to moonflash
The file f.bin contains a TI Stellaris DFU prefix with the following properties:
Address:	0x00004000
$ moonflash dfu-prefix -D f.bin; cmp f.bin ch.bin
dfu-prefix (dfu-util) 0.11
moonflash ~.~.~, in its place: report bugs to moonflash
Removing prefix from file
$ moonflash convert ch.bin@0x00004000 ti.bin --prefix ti --suffix 1cbe:00ff --force
ti.bin: 57.5 KB in 1 segment, 0x00004000..0x000125D3
$ moonflash dfu-prefix -c ti.bin
dfu-prefix (dfu-util) 0.11
moonflash ~.~.~, in its place: report bugs to moonflash
The file ti.bin contains a TI Stellaris DFU prefix with the following properties:
Address:	0x00004000
The file ti.bin contains a DFU suffix with the following properties:
BCD device:	0xFFFF
Product ID:	0x00FF
Vendor ID:	0x1CBE
BCD DFU:	0x0100
Length:		16
CRC:		0x10A03258
$ moonflash convert ti.bin plain.bin --force; cmp plain.bin ch.bin
plain.bin: 57.5 KB in 1 segment, 0x00004000..0x000125D3
$ moonflash convert ch.bin x.bin --prefix ti
moonflash: ch.bin: TI's prefix can't hold the address 0x08000000: a multiple of 1 KB, below 64 MB
[status 65]
$ moonflash convert ch.bin x.bin --suffix 483
moonflash: --suffix '483' is not VID:PID or VID:PID:VERSION
  For example: --suffix 0483:df11
[status 64]
$ moonflash --virtual-time -d sim:dfu11 flash --detach ch.bin
sim:dfu11: sent DETACH; waiting up to 10 s for it to come back in DFU mode
wrote 57.5 KB, NOT VERIFIED (plain DFU starts the program at once) (3.1 s)

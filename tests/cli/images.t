Firmware in all its formats, from one to the other; and what is refused, before a board is opened.

$ moonflash --virtual-time -d sim:f407,flash=board.img flash ch.elf
wrote 57.5 KB, verified (1.3 s)
$ cmp -n 58836 board.img ch.bin
$ moonflash convert ch.elf ch.hex
ch.hex: 57.5 KB in 1 segment, 0x08000000..0x0800E5D3
$ moonflash convert ch.hex ch.srec
ch.srec: 57.5 KB in 1 segment, 0x08000000..0x0800E5D3
$ moonflash convert ch.srec ch.dfu
ch.dfu: 57.5 KB in 1 segment, 0x08000000..0x0800E5D3
$ moonflash convert ch.dfu again.bin; cmp ch.bin again.bin
again.bin: 57.5 KB in 1 segment, 0x08000000..0x0800E5D3
$ moonflash --virtual-time -d sim:f407,flash=board.img verify ch.hex
verified (0.1 s)
$ moonflash --virtual-time -d sim:f407,flash=board.img flash ch.dfu --leave
skipped 57.5 KB (4 sectors the same), verified, started 0x08000000 (0.1 s; about 3 s saved)
$ moonflash convert ch.bin app.bin@0x08010000 both.hex
both.hex: 115 KB in 2 segments, 0x08000000..0x0801E5D3
$ moonflash --virtual-time -d sim:f407,flash=board.img flash ch.hex app.bin@0x08010000
wrote 57.5 KB, skipped 57.5 KB (4 sectors the same), verified (1.4 s; about 4 s saved)
$ moonflash --virtual-time -d sim:f407,flash=board.img verify both.hex
verified (0.2 s)
$ moonflash convert both.hex both.bin
moonflash: both.hex has gaps, behind 0x0800E5D3 first: a raw binary has no addresses
  Write it as hex, srec or dfu; or fill the gaps:
  'moonflash convert --pad', in Lua image:pad(first, last).
[status 65]
$ moonflash convert ch.bin ch.hex
moonflash: ch.hex exists already
  Give another name, or remove the file.
[status 73]
$ moonflash convert ch.bin ch.hex --force
ch.hex: 57.5 KB in 1 segment, 0x08000000..0x0800E5D3
$ moonflash convert ch.bin
moonflash: convert needs the files to read, and then the file to write
  moonflash convert app.elf app.hex
[status 64]
$ moonflash convert ch.bin firmware.xyz
moonflash: firmware.xyz: its ending names no format
  There are bin, dfu, hex, srec.
[status 64]
$ moonflash convert ch.bin firmware.xyz --format srec; head -c 2 firmware.xyz; echo
firmware.xyz: 57.5 KB in 1 segment, 0x08000000..0x0800E5D3
S0
$ cp board.img before.img
$ sed '412s/..\r$/3C\r/' ch.hex >bad.hex; moonflash -d sim:f407,flash=board.img flash bad.hex
moonflash: bad.hex:412: checksum is 3C, the line adds up to CB
[status 65]
$ head -n 1000 ch.hex >bad.hex; moonflash -d sim:f407,flash=board.img flash bad.hex
moonflash: bad.hex:1000: no end record (01) follows: the file is cut off
[status 65]
$ head -c 1000 ch.hex >bad.hex; moonflash -d sim:f407,flash=board.img flash bad.hex
moonflash: bad.hex:23: an odd number of hex digits: the record is cut, or one is lost
[status 65]
$ head -c 60000 ch.elf >bad.elf; moonflash -d sim:f407,flash=board.img flash bad.elf
moonflash: bad.elf: offset 0x20: the section headers are past the end of the file
[status 65]
$ head -c 58000 ch.dfu >bad.dfu; moonflash -d sim:f407,flash=board.img flash bad.dfu
moonflash: bad.dfu: offset 0xE290: no DFU suffix at the end: the file is cut off
[status 65]
$ tail -c +2 ch.elf >bad.elf; moonflash -d sim:f407,flash=board.img flash bad.elf
moonflash: bad.elf: offset 0x0: its name ends in .elf, but it does not begin like an ELF program
[status 65]
$ cp ch.hex firmware.bin; echo more >>firmware.bin; moonflash -d sim:f407,flash=board.img flash firmware.bin
moonflash: firmware.bin:3682: 'm' belongs to no record
[status 65]
$ moonflash -d sim:f407,flash=board.img flash ch.hex@0x08004000
moonflash: ch.hex@0x08004000: ch.hex is Intel HEX, and has addresses of its own
[status 65]
$ moonflash -d sim:f407,flash=board.img flash ch.hex app.bin --force
moonflash: ch.hex and app.bin overlap at 0x08000006, and differ
[status 65]
$ moonflash -d sim:f407,flash=board.img flash ch.hex no-such.hex
moonflash: no-such.hex: No such file or directory
[status 66]
$ cmp board.img before.img

What a person reads when something goes wrong on the way.

$ moonflash --virtual-time -d sim:f407,rdp=1 flash ch.bin
moonflash: sim:f407,rdp=1: read 0x08000000: read protection is on (errVENDOR)
  The flash is untouched.
  --unprotect removes the protection first, and ERASES THE WHOLE CHIP.
[status 80]
$ moonflash --virtual-time -d sim:f407,rdp=1 unprotect
moonflash: sim:f407,rdp=1: not confirmed; nothing was sent. Removing the read protection ERASES THE WHOLE CHIP.
  --yes confirms it.
[status 64]
$ moonflash --virtual-time -d sim:f407 unprotect
There is no read protection to remove.
$ moonflash --virtual-time -d sim:f407,rdp=1 unprotect --yes
The read protection is off, the flash is erased, and the board is back in DFU mode.
erased 12 sectors (16.0 s)
$ moonflash --virtual-time -d sim:f407,fault=unplug@60 flash ch.bin --full
moonflash: sim:f407,fault=unplug@60: the board went away while writing 0x08004800
  0x08000000..0x080047FF is written but not verified; 0x08004800..0x08004FFF is in doubt; 0x08005000..0x0800FFFF is erased but not read back; the rest is untouched.
  Reconnect the board (BOOT0 high) and run the same command again.
[status 74]
$ moonflash --virtual-time -d sim:f407,fault=unplug@15 flash ch.bin --full
moonflash: sim:f407,fault=unplug@15: the board went away while reading 0x08010000
  The flash is untouched.
  Reconnect the board (BOOT0 high) and run the same command again.
[status 74]
$ moonflash --virtual-time -d sim:f407,fault=corrupt@61 flash ch.bin --full
erased 4 sectors, wrote 57.5 KB, verified (2.8 s)
$ moonflash --virtual-time -d sim:f407,wrp=1 flash ch.bin
moonflash: sim:f407,wrp=1: the option bytes (nWRP) protect the sectors at 0x08000000 against writing; nothing was erased
  The flash is untouched.
  'moonflash optbytes nWRP=0xFFF' removes all write protection.
[status 80]
$ moonflash --virtual-time -d sim:f407,fault=hang@70 flash ch.bin --full
moonflash: sim:f407,fault=hang@70: no answer while writing 0x08006000
  0x08000000..0x08005FFF is written but not verified; 0x08006000..0x080067FF is in doubt; 0x08006800..0x0800FFFF is erased but not read back; the rest is untouched.
  Reset or reconnect the board (BOOT0 high) and run the same command again.
[status 82]
$ moonflash --virtual-time -d sim:f407,fault=error@70 flash ch.bin --full
moonflash: sim:f407,fault=error@70: write 0x08006000: the board refused it (errUNKNOWN)
  0x08000000..0x08005FFF is written but not verified; 0x08006000..0x080067FF is in doubt; 0x08006800..0x0800FFFF is erased but not read back; the rest is untouched.
  Run the same command again. If the error comes back, reconnect the board with
  BOOT0 high first.
[status 76]
$ moonflash --virtual-time -d sim:f407,fault=short@70 flash ch.bin --full
moonflash: sim:f407,fault=short@70: a short answer while writing 0x08006000
  0x08000000..0x08005FFF is written but not verified; 0x08006000..0x080067FF is in doubt; 0x08006800..0x0800FFFF is erased but not read back; the rest is untouched.
  Check the cable. Run the same command again.
[status 74]
$ moonflash --virtual-time -d sim:f407,fault=stall@71 flash ch.bin --full
erased 4 sectors, wrote 57.5 KB, verified (2.8 s; 1 request sent again)
$ moonflash --virtual-time -d sim:f407,rdp=2 flash ch.bin
moonflash: sim:f407,rdp=2: no board in DFU mode
  STM32: connect BOOT0 to VDD (on an F4 also PB2 to GND), press reset, then run
  the same command again, or add --wait 60.
  Without a board: --device sim:f407 is a simulated one.
[status 69]
$ moonflash --virtual-time -d sim:f407,state=dfuDNLOAD-SYNC flash ch.bin@0x08000000
wrote 57.5 KB, verified (1.3 s)
$ moonflash --virtual-time -d sim:f407,state=dfuMANIFEST-WAIT-RESET flash ch.bin
moonflash: sim:f407,state=dfuMANIFEST-WAIT-RESET: read 0x08000000: the board waits for a reset
  The flash is untouched.
  Reset or reconnect the board.
[status 76]
$ moonflash --virtual-time -d sim:f407,flash=board.img --quiet flash ch.bin
$ head -c 64 /dev/zero >config.bin; moonflash --virtual-time -d sim:f407,flash=board.img flash config.bin@0x0800E000
moonflash: sim:f407,flash=board.img: config.bin starts inside a sector: the data in 0x0800C000..0x0800DFFF would be erased
  The flash is untouched.
  --keep writes them back.
  --lose discards them.
[status 65]
$ moonflash --virtual-time -d sim:f407,flash=board.img flash config.bin@0x0800E000 --keep
erased 1 sector, wrote 10 KB, skipped 6 KB, verified (0.7 s)
$ cmp -n 57344 ch.bin board.img && echo kept
kept
$ moonflash --virtual-time -d sim:f407,flash=board.img verify ch.bin
moonflash: sim:f407,flash=board.img: verify failed at 0x0800E000: expected bd aa f5 08, found 00 00 00 00
  0x08000000..0x0800BFFF is verified; the rest is untouched.
  1 of 4 sectors differs.
[status 79]
$ moonflash --virtual-time -d sim:f407,flash=board.img flash config.bin@0x0800E000 --lose
skipped 64 B (1 sector the same), verified (0.0 s)
$ moonflash --virtual-time -d sim:f407,flash=board.img --dry-run flash ch.bin --leave
ch.bin  57.5 KB, starts at 0x08000000
  0x08000000     16 KB   same     -
  0x08004000     16 KB   same     -
  0x08008000     16 KB   same     -
  0x0800C000     16 KB   differs  erase, write 9.5 KB; data after it in the sector is erased
Compared before and after the erase: 0x08010000..0x080107FF, 0x0800B800..0x0800BFFF, 0x08000000..0x080007FF.
About 0.7 s, instead of 2.8 s for everything.
sim:f407,flash=board.img: would start 0x08000000
Nothing was written.
$ moonflash --virtual-time -d sim:f407,flash=board.img --dry-run erase --all
sim:f407,flash=board.img: would erase the whole chip
Nothing was written.
$ moonflash --virtual-time -d sim:f407 flash ch.bin --no-verify
wrote 57.5 KB, NOT VERIFIED (--no-verify) (1.2 s)
$ moonflash --virtual-time -d sim:dfu11 detach
The board is in DFU mode.
$ moonflash --virtual-time -d sim:dfu11,state=dfuIDLE flash ch.bin
wrote 57.5 KB, NOT VERIFIED (plain DFU starts the program at once) (3.1 s)

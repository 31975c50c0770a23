The board of a product, which a file describes.

$ cp tests/cli/widget.lua .
$ moonflash -d sim:./widget.lua info
Widget 3  1209:0001  version 21.00  serial W0001  at sim:./widget.lua
found in dfuERROR; transfers of 2048 bytes; DFU 1.1a (DfuSe)
unknown family: the full poll times are waited for
  0 Internal Flash  0x08000000..0x0800FFFF  4 x 16 KB   read erase write
                    0x08010000..0x0801FFFF  1 x 64 KB   read erase write
                    0x08020000..0x080FFFFF  7 x 128 KB  read erase write
  1 External QSPI   0x90000000..0x900FFFFF  16 x 64 KB  read erase write
  2 Option Bytes    0x1FFFC000..0x1FFFC00F  1 x 16 B    read write
option bytes: ef aa ff ff ff ff ff ff ff 0f ff ff ff ff ff ff
$ moonflash list -d sim:./widget.lua,serial=A1
PATH                        ID         SERIAL  BOARD
sim:./widget.lua,serial=A1  1209:0001  A1      Widget 3, 1 MB flash (simulated)
$ moonflash -d sim:./widget.lua#2,flash=board.img --virtual-time flash ch.bin --leave && cmp -n 58836 board.img ch.bin
wrote 57.5 KB, verified, started 0x08000000 (4.5 s)
$ moonflash -d sim:./widget.lua --virtual-time flash ch.elf
wrote 57.5 KB, verified (3.9 s)
$ printf 'fonts' >fonts.bin; moonflash -d sim:./widget.lua --virtual-time flash fonts.bin@0x90010000
wrote 32 B, verified (0.6 s)
$ moonflash -d sim:./widget.lua rehearse --most 8 flash ch.bin --leave
flash on sim:./widget.lua: ~ requests, 6 faults at each of 8: 48 runs
No false success. Every message was correct about the flash. Every rerun passed.   ~ s
$ printf 'local b <close> = sim.new("./widget.lua,serial=A1,usb=ideal")\nlocal board <close> = dfu.open(b.path)\nflash.write(board, image.load("ch.bin"))\nboard:leave()\nlocal app = board:wait_app(5)\nprint(app.pid, app.serial, app.product, app.tty)\nprint(board:detach().pid)' >t.lua; moonflash --virtual-time --quiet t.lua
2	A1	Widget 3, running	/dev/ttyACM7
1
$ moonflash --json sim sim:./widget.lua --usbip 127.77.3.3 >log 2>/dev/null & until grep -qs ready log || ! kill -0 $!; do sleep 0.05; done; kill -TERM $!; wait $!; cat log
{"event":"ready","address":"127.77.3.3","port":3240}
{"event":"result","outcome":"ABORTED","code":"cancelled","message":"interrupted"}
$ moonflash sim ./widget.lua
moonflash: './widget.lua' is not a simulated board
  For example: sim:f407
[status 64]
$ moonflash -d sim:./wigdet.lua list
moonflash: ./wigdet.lua: No such file or directory
[status 66]
$ moonflash -d sim:./widget.lua,sreial=1 list
moonflash: sim:./widget.lua,sreial=1: there is no parameter 'sreial' (did you mean 'serial'?)
  'moonflash sim --kinds' lists the kinds. 'moonflash help sim:' explains the
  parameters.
[status 64]
$ sed 's/serial/sreial/' widget.lua >bad.lua; moonflash -d sim:./bad.lua list
moonflash: ./bad.lua: a product has no field 'sreial' (did you mean 'serial'?)
  'moonflash help product' has an example.
[status 64]
$ sed 's/16\*64Kg/16*64Mg/' widget.lua >bad.lua; moonflash -d sim:./bad.lua list
moonflash: ./bad.lua: its memories have 1025 MB: 64 MB at most
  'moonflash help product' has an example.
[status 64]
$ sed 's/0x90000000/0x08000000/' widget.lua >bad.lua; moonflash -d sim:./bad.lua list
moonflash: ./bad.lua: memories[1] (0x08000000..0x080FFFFF) and memories[2] (0x08000000..0x080FFFFF) overlap
  'moonflash help product' has an example.
[status 64]
$ echo 'return { base = "f407", vid = os.getenv("VID") }' >bad.lua; moonflash -d sim:./bad.lua list
moonflash: ./bad.lua: 1: attempt to index a nil value (global 'os')
  'moonflash help product' has an example.
[status 64]
$ echo 'while true do end' >bad.lua; moonflash -d sim:./bad.lua list
moonflash: ./bad.lua: 1: it takes too long
  'moonflash help product' has an example.
[status 64]
$ : >empty.lua; moonflash -d sim:./empty.lua list
moonflash: ./empty.lua is empty
[status 65]

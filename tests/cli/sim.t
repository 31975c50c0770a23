Simulated boards offered over USB/IP. What a kernel does with them is tested by tests/usb/kernel.

$ moonflash sim sim:f407,flash=board.img sim:g474 --usbip 127.77.3.1:3240 >log 2>&1 & until grep -qs g474 log || ! kill -0 $!; do sleep 0.05; done; kill -INT $!; wait $!; status=$?; cat log; exit $status
Serving 2 simulated boards over USB/IP at 127.77.3.1, port 3240. Ctrl-C ends it.
  usbip attach -r 127.77.3.1 -b 1-1    plugs in sim:f407,flash=board.img
  usbip attach -r 127.77.3.1 -b 1-2    plugs in sim:g474
moonflash: interrupted
[status 130]
$ moonflash --json sim sim:f407 --usbip 127.77.3.2 >log 2>/dev/null & until grep -qs ready log || ! kill -0 $!; do sleep 0.05; done; kill -TERM $!; wait $!; status=$?; cat log; exit $status
{"event":"ready","address":"127.77.3.2","port":3240}
{"event":"result","outcome":"ABORTED","code":"cancelled","message":"interrupted"}
[status 130]
$ moonflash sim
moonflash: no simulated board was given
  moonflash sim sim:f407
  'moonflash sim --kinds' lists the kinds.
[status 64]
$ moonflash sim f407
moonflash: 'f407' is not a simulated board
  For example: sim:f407
[status 64]
$ moonflash sim 1-4
moonflash: '1-4' is not a simulated board
  For example: sim:f407
[status 64]
$ moonflash sim sim:f408
moonflash: sim:f408: there is no simulated board 'f408' (did you mean 'f407'?)
  'moonflash sim --kinds' lists the kinds. 'moonflash help sim:' explains the
  parameters.
[status 64]
$ moonflash sim sim:f407,rdp=1 sim:f407,rdp=1
moonflash: sim:f407,rdp=1 is named twice
  For example: sim:f407#2,rdp=1
[status 64]
$ moonflash sim sim:f407 --usbip 0.0.0.0
moonflash: 0.0.0.0 can be reached from other computers
  If you mean it, add --anywhere (in Lua: anywhere = true).
[status 64]
$ moonflash sim sim:f407 --usbip localhost.example.org:3240
moonflash: 'localhost.example.org' is not a numeric address
[status 64]
$ moonflash sim sim:f407 --usbip 127.0.0.1:99999
moonflash: 99999 is not a port: at most 65535
[status 64]
$ moonflash sim sim:f407 --usbip 127.0.0.1:usbip
moonflash: '127.0.0.1:usbip' is not ADDRESS:PORT
  --usbip 127.0.0.1:3240
[status 64]

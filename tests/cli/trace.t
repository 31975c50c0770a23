What goes over the wire, in lines that a person reads.

$ head -c 3000 ch.bin >small.bin
$ moonflash --virtual-time -d sim:f407,usb=ideal --trace flash small.bin --full --leave
  0.0000      0.03 ms  GET_DESCRIPTOR string 0                   4 bytes
  0.0000      0.05 ms  GET_DESCRIPTOR string 2                   36 bytes, "STM32  BOOTLOADER"
  0.0001      0.06 ms  GET_DESCRIPTOR string 1                   38 bytes, "STMicroelectronics"
  0.0001      0.05 ms  GET_DESCRIPTOR string 3                   26 bytes, "315A28A0B956"
  0.0002      0.11 ms  GET_DESCRIPTOR string 4                   112 bytes, "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"
  0.0003      0.09 ms  GET_DESCRIPTOR string 5                   72 bytes, "@Option Bytes  /0x1FFFC000/01*016 g"
  0.0004      0.09 ms  GET_DESCRIPTOR string 6                   84 bytes, "@OTP Memory /0x1FFF7800/01*512 g,01*016 g"
  0.0005      0.09 ms  GET_DESCRIPTOR string 7                   72 bytes, "@Device Feature/0xFFFF0000/01*004 g"
  0.0006      0.03 ms  GETSTATE                                  dfuERROR
  0.0006      0.03 ms  GETSTATUS                                 dfuERROR errFIRMWARE
  0.0006      0.03 ms  CLRSTATUS
  0.0007      0.03 ms  GETSTATUS                                 dfuIDLE OK
  0.0007      0.03 ms  DNLOAD block   0: erase 0x08000000        5 bytes
  0.0007      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 100 ms
  0.1008    300.03 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 400.0 ms
  0.4008      0.03 ms  DNLOAD block   0: set address 0x08000000  5 bytes
  0.4008      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.4009      0.03 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.0 ms
  0.4009      1.66 ms  DNLOAD block   2 -> 0x08000000            2048 bytes
  0.4026      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.4026     32.80 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 32.8 ms
  0.4354      0.79 ms  DNLOAD block   3 -> 0x08000800            952 bytes
  0.4362      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.4362     15.27 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 15.3 ms
  0.4515      0.03 ms  DNLOAD block   0: set address 0x08000000  5 bytes
  0.4515      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.4516      0.03 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.0 ms
  0.4516      0.03 ms  ABORT
  0.4516      1.66 ms  UPLOAD block   2 <- 0x08000000            2048 bytes
  0.4533      0.79 ms  UPLOAD block   3 <- 0x08000800            952 bytes
  0.4541      0.03 ms  ABORT
  0.4541      0.03 ms  DNLOAD block   0: set address 0x08000800  5 bytes
  0.4541      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.4542      0.03 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.0 ms
  0.4542      0.03 ms  ABORT
  0.4542      0.79 ms  UPLOAD block   2 <- 0x08000800            952 bytes
  0.4550      0.03 ms  ABORT
  0.4550      0.03 ms  DNLOAD block   0: set address 0x08000000  5 bytes
  0.4551      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.4551      0.03 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.0 ms
  0.4551      0.03 ms  DNLOAD block   2: leave 0x08000000
  0.4552      0.03 ms  GETSTATUS                                 dfuMANIFEST OK, poll 1 ms
erased 1 sector, wrote 2.9 KB, verified, left for 0x08000000: 0.5 s
$ moonflash --virtual-time -d sim:f407,fault=stall@5 --trace erase --address 0x08004000
  0.0000      0.40 ms  GET_DESCRIPTOR string 0                   4 bytes
  0.0004      0.40 ms  GET_DESCRIPTOR string 2                   36 bytes, "STM32  BOOTLOADER"
  0.0008      0.40 ms  GET_DESCRIPTOR string 1                   38 bytes, "STMicroelectronics"
  0.0012      0.40 ms  GET_DESCRIPTOR string 3                   26 bytes, "315A28A0B956"
  0.0016      0.47 ms  GET_DESCRIPTOR string 4                   112 bytes, "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"
  0.0021      0.41 ms  GET_DESCRIPTOR string 5                   72 bytes, "@Option Bytes  /0x1FFFC000/01*016 g"
  0.0025      0.43 ms  GET_DESCRIPTOR string 6                   84 bytes, "@OTP Memory /0x1FFF7800/01*512 g,01*016 g"
  0.0029      0.41 ms  GET_DESCRIPTOR string 7                   72 bytes, "@Device Feature/0xFFFF0000/01*004 g"
  0.0033      0.40 ms  GETSTATE                                  dfuERROR
  0.0037      0.40 ms  GETSTATUS                                 dfuERROR errFIRMWARE
  0.0041      0.40 ms  CLRSTATUS
  0.0045      0.40 ms  GETSTATUS                                 dfuIDLE OK
  0.0049      0.40 ms  DNLOAD block   0: erase 0x08004000        5 bytes, STALL
  0.0053      0.40 ms  GETSTATUS                                 dfuIDLE OK
  0.0057      0.40 ms  DNLOAD block   0: erase 0x08004000        5 bytes
  0.0061      0.40 ms  GETSTATUS                                 dfuDNBUSY OK, poll 100 ms
  0.1065    300.40 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 400.4 ms
erased 1 sector (1 request sent again): 0.4 s
  0.4069      0.40 ms  ABORT
$ moonflash --virtual-time -d sim:f407 --trace-bytes -e 'local b <close> = dfu.open() b:read(0x1FFFC000, 16)' 2>&1 | tail -n 12
  0.0033      0.40 ms  GETSTATE                                  dfuERROR  [0a]
  0.0037      0.40 ms  GETSTATUS                                 dfuERROR errFIRMWARE  [0a 00 00 00 0a 00]
  0.0041      0.40 ms  CLRSTATUS
  0.0045      0.40 ms  GETSTATUS                                 dfuIDLE OK  [00 00 00 00 02 00]
  0.0049      0.00 ms  SET_INTERFACE 0, setting 1
  0.0049      0.40 ms  DNLOAD block   0: set address 0x1FFFC000  5 bytes  [21 00 c0 ff 1f]
  0.0053      0.40 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms  [00 68 00 00 04 00]
  0.0057      0.40 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.4 ms  [00 00 00 00 05 00]
  0.0061      0.40 ms  ABORT
  0.0065      0.40 ms  UPLOAD block   2 <- 0x1FFFC000            16 bytes
                       1FFFC000  ef aa ff ff ff ff ff ff ff 0f ff ff ff ff ff ff  ................
  0.0069      0.40 ms  ABORT
$ moonflash --virtual-time -d sim:f407#1 -d sim:f407#left,serial=A1 --trace erase --address 0x08004000 2>&1 | tail -n 12
sim:f407#left,serial=A1:   0.0079      0.40 ms  GETSTATUS                                 dfuIDLE OK
sim:f407#1:                0.0083      0.40 ms  DNLOAD block   0: erase 0x08004000        5 bytes
sim:f407#left,serial=A1:   0.0083      0.40 ms  DNLOAD block   0: erase 0x08004000        5 bytes
sim:f407#1:                0.0087      0.40 ms  GETSTATUS                                 dfuDNBUSY OK, poll 100 ms
sim:f407#left,serial=A1:   0.0087      0.40 ms  GETSTATUS                                 dfuDNBUSY OK, poll 100 ms
sim:f407#1:                0.1091    300.40 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 400.4 ms
sim:f407#left,serial=A1:   0.1091    300.40 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 400.4 ms
sim:f407#1: erased 1 sector: 0.4 s
sim:f407#left,serial=A1: erased 1 sector: 0.4 s
2 boards passed.
sim:f407#1:                0.4095      0.40 ms  ABORT
sim:f407#left,serial=A1:   0.4095      0.40 ms  ABORT
$ moonflash --virtual-time -d sim:f407 --quiet --json --trace erase --address 0x08004000 2>&1 >/dev/null | head -n 2
  0.0000      0.40 ms  GET_DESCRIPTOR string 0                   4 bytes
  0.0004      0.40 ms  GET_DESCRIPTOR string 2                   36 bytes, "STM32  BOOTLOADER"
$ moonflash --virtual-time -d sim:f407 -e 'trace.start() local b <close> = dfu.open() b:erase_page(0x08004000) print(trace(b, 3))'
  0.0049      0.40 ms  DNLOAD block   0: erase 0x08004000        5 bytes
  0.0053      0.40 ms  GETSTATUS                                 dfuDNBUSY OK, poll 100 ms
  0.1057    300.40 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 400.4 ms
$ moonflash --virtual-time -d sim:f407 -e 'dfu.observe(function() error("oops") end) local b <close> = dfu.open() print(b:get_state())'
moonflash: a bug of moonflash's own: tracing ends: -e:1: oops
dfuERROR
$ printf firmware >fw.bin; moonflash --virtual-time -d sim:f407 --pcap fw.bin erase --address 0x08004000
moonflash: --pcap fw.bin: is there already, and is no capture
[status 73]

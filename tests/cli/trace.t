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
  0.0007      0.00 ms  SET_INTERFACE 0, setting 1
  0.0007      0.03 ms  DNLOAD block   0: set address 0x1FFFC000  5 bytes
  0.0007      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.0008      0.03 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.0 ms
  0.0008      0.03 ms  ABORT
  0.0008      0.04 ms  UPLOAD block   2 <- 0x1FFFC000            16 bytes
  0.0009      0.03 ms  ABORT
  0.0009      0.00 ms  SET_INTERFACE 0, setting 0
  0.0009      0.03 ms  DNLOAD block   0: set address 0x08004000  5 bytes
  0.0009      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.0010      0.03 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.0 ms
  0.0010      0.03 ms  ABORT
  0.0010      1.66 ms  UPLOAD block   2 <- 0x08004000            2048 bytes
  0.0027      0.03 ms  ABORT
  0.0027      0.03 ms  DNLOAD block   0: erase 0x08000000        5 bytes
  0.0028      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 100 ms
  0.1028    300.03 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 400.0 ms
  0.4028      0.03 ms  DNLOAD block   0: set address 0x08000000  5 bytes
  0.4029      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.4029      0.03 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.0 ms
  0.4029      1.66 ms  DNLOAD block   2 -> 0x08000000            2048 bytes
  0.4046      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.4046     32.80 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 32.8 ms
  0.4374      0.79 ms  DNLOAD block   3 -> 0x08000800            952 bytes
  0.4382      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.4382     15.27 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 15.3 ms
  0.4535      0.03 ms  DNLOAD block   0: set address 0x08000000  5 bytes
  0.4535      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.4536      0.03 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.0 ms
  0.4536      0.03 ms  ABORT
  0.4536      1.66 ms  UPLOAD block   2 <- 0x08000000            2048 bytes
  0.4553      0.79 ms  UPLOAD block   3 <- 0x08000800            952 bytes
  0.4561      0.03 ms  ABORT
  0.4561      0.03 ms  DNLOAD block   0: set address 0x08000800  5 bytes
  0.4562      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.4562      0.03 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.0 ms
  0.4562      0.03 ms  ABORT
  0.4563      0.79 ms  UPLOAD block   2 <- 0x08000800            952 bytes
  0.4570      1.66 ms  UPLOAD block   9 <- 0x08004000            2048 bytes
  0.4587      0.03 ms  ABORT
  0.4587      0.03 ms  DNLOAD block   0: set address 0x08000000  5 bytes
  0.4588      0.03 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.4588      0.03 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.0 ms
  0.4588      0.03 ms  DNLOAD block   2: leave 0x08000000
  0.4589      0.03 ms  GETSTATUS                                 dfuMANIFEST OK, poll 1 ms
erased 1 sector, wrote 2.9 KB, verified, started 0x08000000 (0.5 s)
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
  0.0049      0.00 ms  SET_INTERFACE 0, setting 1
  0.0049      0.40 ms  DNLOAD block   0: set address 0x1FFFC000  5 bytes, STALL
  0.0053      0.40 ms  GETSTATUS                                 dfuIDLE OK
  0.0057      0.40 ms  DNLOAD block   0: set address 0x1FFFC000  5 bytes
  0.0061      0.40 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.0065      0.40 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.4 ms
  0.0069      0.40 ms  ABORT
  0.0073      0.40 ms  UPLOAD block   2 <- 0x1FFFC000            16 bytes
  0.0077      0.40 ms  ABORT
  0.0081      0.00 ms  SET_INTERFACE 0, setting 0
  0.0081      0.40 ms  DNLOAD block   0: set address 0x08008000  5 bytes
  0.0085      0.40 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.0089      0.40 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.4 ms
  0.0093      0.40 ms  ABORT
  0.0097      3.40 ms  UPLOAD block   2 <- 0x08008000            2048 bytes
  0.0131      0.40 ms  ABORT
  0.0135      0.40 ms  DNLOAD block   0: set address 0x08003800  5 bytes
  0.0139      0.40 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.0143      0.40 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.4 ms
  0.0147      0.40 ms  ABORT
  0.0151      3.40 ms  UPLOAD block   2 <- 0x08003800            2048 bytes
  0.0185      0.40 ms  ABORT
  0.0189      0.40 ms  DNLOAD block   0: erase 0x08004000        5 bytes
  0.0193      0.40 ms  GETSTATUS                                 dfuDNBUSY OK, poll 100 ms
  0.1197    300.40 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 400.4 ms
  0.4201      0.40 ms  DNLOAD block   0: set address 0x08004000  5 bytes
  0.4205      0.40 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.4209      0.40 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.4 ms
  0.4213      0.40 ms  ABORT
  0.4217      3.40 ms  UPLOAD block   2 <- 0x08004000            2048 bytes
  0.4251      3.40 ms  UPLOAD block   3 <- 0x08004800            2048 bytes
  0.4285      3.40 ms  UPLOAD block   4 <- 0x08005000            2048 bytes
  0.4319      3.40 ms  UPLOAD block   5 <- 0x08005800            2048 bytes
  0.4353      3.40 ms  UPLOAD block   6 <- 0x08006000            2048 bytes
  0.4387      3.40 ms  UPLOAD block   7 <- 0x08006800            2048 bytes
  0.4421      3.40 ms  UPLOAD block   8 <- 0x08007000            2048 bytes
  0.4455      3.40 ms  UPLOAD block   9 <- 0x08007800            2048 bytes
  0.4489      3.40 ms  UPLOAD block  10 <- 0x08008000            2048 bytes
  0.4523      0.40 ms  ABORT
  0.4527      0.40 ms  DNLOAD block   0: set address 0x08003800  5 bytes
  0.4531      0.40 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
  0.4535      0.40 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.4 ms
  0.4539      0.40 ms  ABORT
  0.4543      3.40 ms  UPLOAD block   2 <- 0x08003800            2048 bytes
erased 1 sector (0.5 s; 1 request sent again)
  0.4577      0.40 ms  ABORT
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
sim:f407#left,serial=A1:   0.4557      0.40 ms  GETSTATUS                                 dfuDNBUSY OK, poll 104 ms
sim:f407#1:                0.4561      0.40 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.4 ms
sim:f407#left,serial=A1:   0.4561      0.40 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 0.4 ms
sim:f407#1:                0.4565      0.40 ms  ABORT
sim:f407#left,serial=A1:   0.4565      0.40 ms  ABORT
sim:f407#1:                0.4569      3.40 ms  UPLOAD block   2 <- 0x08003800            2048 bytes
sim:f407#left,serial=A1:   0.4569      3.40 ms  UPLOAD block   2 <- 0x08003800            2048 bytes
sim:f407#1: erased 1 sector (0.5 s)
sim:f407#left,serial=A1: erased 1 sector (0.5 s)
2 boards passed.
sim:f407#1:                0.4603      0.40 ms  ABORT
sim:f407#left,serial=A1:   0.4603      0.40 ms  ABORT
$ moonflash --virtual-time -d sim:f407 --quiet --json --trace erase --address 0x08004000 2>&1 >/dev/null | head -n 2
  0.0000      0.40 ms  GET_DESCRIPTOR string 0                   4 bytes
  0.0004      0.40 ms  GET_DESCRIPTOR string 2                   36 bytes, "STM32  BOOTLOADER"
$ moonflash --virtual-time -d sim:f407 -e 'trace.start() local b <close> = dfu.open() b:erase_page(0x08004000) print(trace(b, 3))'
  0.0049      0.40 ms  DNLOAD block   0: erase 0x08004000        5 bytes
  0.0053      0.40 ms  GETSTATUS                                 dfuDNBUSY OK, poll 100 ms
  0.1057    300.40 ms  GETSTATUS                                 dfuDNLOAD-IDLE OK, took 400.4 ms
$ moonflash --virtual-time -d sim:f407 -e 'dfu.observe(function() error("oops") end) local b <close> = dfu.open() print(b:get_state())'
moonflash: internal error, tracing stopped: -e:1: oops
dfuERROR
$ printf firmware >fw.bin; moonflash --virtual-time -d sim:f407 --pcap fw.bin erase --address 0x08004000
moonflash: --pcap fw.bin: exists and is not a capture file; not overwritten
[status 73]

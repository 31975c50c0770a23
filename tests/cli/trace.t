What goes over the wire, in lines that a person reads.

$ head -c 3000 ch.bin >small.bin
$ moonflash --virtual-time -d sim:f407,usb=ideal --trace flash small.bin --full --leave
    at s      ms  request and block                answer
   0.000    0.03  GET_DESCRIPTOR string 0          4 bytes
   0.000    0.05  GET_DESCRIPTOR string 2          36 bytes, "STM32  BOOTLOADER"
   0.000    0.06  GET_DESCRIPTOR string 1          38 bytes, "STMicroelectronics"
   0.000    0.05  GET_DESCRIPTOR string 3          26 bytes, "315A28A0B956"
   0.000    0.11  GET_DESCRIPTOR string 4          112 bytes, "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"
   0.000    0.09  GET_DESCRIPTOR string 5          72 bytes, "@Option Bytes  /0x1FFFC000/01*016 g"
   0.000    0.09  GET_DESCRIPTOR string 6          84 bytes, "@OTP Memory /0x1FFF7800/01*512 g,01*016 g"
   0.000    0.09  GET_DESCRIPTOR string 7          72 bytes, "@Device Feature/0xFFFF0000/01*004 g"
   0.001    0.03  GETSTATE                         dfuERROR
   0.001    0.03  GETSTATUS                        dfuERROR errFIRMWARE
   0.001    0.03  CLRSTATUS
   0.001    0.03  GETSTATUS                        dfuIDLE
   0.001    0.00  SET_INTERFACE 0, setting 1
   0.001    0.03  DNLOAD 0 set address 0x1FFFC000  5 bytes
   0.001    0.03  GETSTATUS                        dfuDNBUSY, poll 104 ms
   0.001    0.03  GETSTATUS                        dfuDNLOAD-IDLE, took 0.0 ms
   0.001    0.03  ABORT
   0.001    0.04  UPLOAD 2 <- 0x1FFFC000           16 bytes
   0.001    0.03  ABORT
   0.001    0.00  SET_INTERFACE 0, setting 0
   0.001    0.03  DNLOAD 0 set address 0x08004000  5 bytes
   0.001    0.03  GETSTATUS                        dfuDNBUSY, poll 104 ms
   0.001    0.03  GETSTATUS                        dfuDNLOAD-IDLE, took 0.0 ms
   0.001    0.03  ABORT
   0.001    1.66  UPLOAD 2 <- 0x08004000           2048 bytes
   0.003    0.03  ABORT
   0.003    0.03  DNLOAD 0 erase 0x08000000        5 bytes
   0.003    0.03  GETSTATUS                        dfuDNBUSY, poll 100 ms
   0.103  300.03  GETSTATUS                        dfuDNLOAD-IDLE, took 400.0 ms
   0.403    0.03  DNLOAD 0 set address 0x08000000  5 bytes
   0.403    0.03  GETSTATUS                        dfuDNBUSY, poll 104 ms
   0.403    0.03  GETSTATUS                        dfuDNLOAD-IDLE, took 0.0 ms
   0.403    1.66  DNLOAD 2 -> 0x08000000           2048 bytes
   0.405    0.03  GETSTATUS                        dfuDNBUSY, poll 104 ms
   0.405   32.80  GETSTATUS                        dfuDNLOAD-IDLE, took 32.8 ms
   0.437    0.79  DNLOAD 3 -> 0x08000800           952 bytes
   0.438    0.03  GETSTATUS                        dfuDNBUSY, poll 104 ms
   0.438   15.27  GETSTATUS                        dfuDNLOAD-IDLE, took 15.3 ms
   0.454    0.03  DNLOAD 0 set address 0x08000000  5 bytes
   0.454    0.03  GETSTATUS                        dfuDNBUSY, poll 104 ms
   0.454    0.03  GETSTATUS                        dfuDNLOAD-IDLE, took 0.0 ms
   0.454    0.03  ABORT
   0.454    1.66  UPLOAD 2 <- 0x08000000           2048 bytes
   0.455    0.79  UPLOAD 3 <- 0x08000800           952 bytes
   0.456    0.03  ABORT
   0.456    0.03  DNLOAD 0 set address 0x08000800  5 bytes
   0.456    0.03  GETSTATUS                        dfuDNBUSY, poll 104 ms
   0.456    0.03  GETSTATUS                        dfuDNLOAD-IDLE, took 0.0 ms
   0.456    0.03  ABORT
   0.456    0.79  UPLOAD 2 <- 0x08000800           952 bytes
   0.457    1.66  UPLOAD 9 <- 0x08004000           2048 bytes
   0.459    0.03  ABORT
   0.459    0.03  DNLOAD 0 set address 0x08000000  5 bytes
   0.459    0.03  GETSTATUS                        dfuDNBUSY, poll 104 ms
   0.459    0.03  GETSTATUS                        dfuDNLOAD-IDLE, took 0.0 ms
   0.459    0.03  DNLOAD 2 leave 0x08000000
   0.459    0.03  GETSTATUS                        dfuMANIFEST, poll 1 ms
erased 1 sector, wrote 2.9 KB, verified, started 0x08000000 (0.5 s)
$ moonflash --virtual-time -d sim:f407,fault=stall@5 --trace erase --address 0x08004000
    at s      ms  request and block                answer
   0.000    0.40  GET_DESCRIPTOR string 0          4 bytes
   0.000    0.40  GET_DESCRIPTOR string 2          36 bytes, "STM32  BOOTLOADER"
   0.001    0.40  GET_DESCRIPTOR string 1          38 bytes, "STMicroelectronics"
   0.001    0.40  GET_DESCRIPTOR string 3          26 bytes, "315A28A0B956"
   0.002    0.47  GET_DESCRIPTOR string 4          112 bytes, "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"
   0.002    0.41  GET_DESCRIPTOR string 5          72 bytes, "@Option Bytes  /0x1FFFC000/01*016 g"
   0.002    0.43  GET_DESCRIPTOR string 6          84 bytes, "@OTP Memory /0x1FFF7800/01*512 g,01*016 g"
   0.003    0.41  GET_DESCRIPTOR string 7          72 bytes, "@Device Feature/0xFFFF0000/01*004 g"
   0.003    0.40  GETSTATE                         dfuERROR
   0.004    0.40  GETSTATUS                        dfuERROR errFIRMWARE
   0.004    0.40  CLRSTATUS
   0.005    0.40  GETSTATUS                        dfuIDLE
   0.005    0.00  SET_INTERFACE 0, setting 1
   0.005    0.40  DNLOAD 0 set address 0x1FFFC000  5 bytes, STALL
   0.005    0.40  GETSTATUS                        dfuIDLE
   0.006    0.40  DNLOAD 0 set address 0x1FFFC000  5 bytes
   0.006    0.40  GETSTATUS                        dfuDNBUSY, poll 104 ms
   0.007    0.40  GETSTATUS                        dfuDNLOAD-IDLE, took 0.4 ms
   0.007    0.40  ABORT
   0.007    0.40  UPLOAD 2 <- 0x1FFFC000           16 bytes
   0.008    0.40  ABORT
   0.008    0.00  SET_INTERFACE 0, setting 0
   0.008    0.40  DNLOAD 0 set address 0x08008000  5 bytes
   0.009    0.40  GETSTATUS                        dfuDNBUSY, poll 104 ms
   0.009    0.40  GETSTATUS                        dfuDNLOAD-IDLE, took 0.4 ms
   0.009    0.40  ABORT
   0.010    3.40  UPLOAD 2 <- 0x08008000           2048 bytes
   0.013    0.40  ABORT
   0.014    0.40  DNLOAD 0 set address 0x08003800  5 bytes
   0.014    0.40  GETSTATUS                        dfuDNBUSY, poll 104 ms
   0.014    0.40  GETSTATUS                        dfuDNLOAD-IDLE, took 0.4 ms
   0.015    0.40  ABORT
   0.015    3.40  UPLOAD 2 <- 0x08003800           2048 bytes
   0.019    0.40  ABORT
   0.019    0.40  DNLOAD 0 erase 0x08004000        5 bytes
   0.019    0.40  GETSTATUS                        dfuDNBUSY, poll 100 ms
   0.120  300.40  GETSTATUS                        dfuDNLOAD-IDLE, took 400.4 ms
   0.420    0.40  DNLOAD 0 set address 0x08004000  5 bytes
   0.421    0.40  GETSTATUS                        dfuDNBUSY, poll 104 ms
   0.421    0.40  GETSTATUS                        dfuDNLOAD-IDLE, took 0.4 ms
   0.421    0.40  ABORT
   0.422    3.40  UPLOAD 2 <- 0x08004000           2048 bytes
   0.425    3.40  UPLOAD 3 <- 0x08004800           2048 bytes
   0.429    3.40  UPLOAD 4 <- 0x08005000           2048 bytes
   0.432    3.40  UPLOAD 5 <- 0x08005800           2048 bytes
   0.435    3.40  UPLOAD 6 <- 0x08006000           2048 bytes
   0.439    3.40  UPLOAD 7 <- 0x08006800           2048 bytes
   0.442    3.40  UPLOAD 8 <- 0x08007000           2048 bytes
   0.446    3.40  UPLOAD 9 <- 0x08007800           2048 bytes
   0.449    3.40  UPLOAD 10 <- 0x08008000          2048 bytes
   0.452    0.40  ABORT
   0.453    0.40  DNLOAD 0 set address 0x08003800  5 bytes
   0.453    0.40  GETSTATUS                        dfuDNBUSY, poll 104 ms
   0.454    0.40  GETSTATUS                        dfuDNLOAD-IDLE, took 0.4 ms
   0.454    0.40  ABORT
   0.454    3.40  UPLOAD 2 <- 0x08003800           2048 bytes
erased 1 sector (0.5 s; 1 request sent again)
   0.458    0.40  ABORT
$ moonflash --virtual-time -d sim:f407 --trace-bytes -e 'local b <close> = dfu.open() b:read(0x1FFFC000, 16)' 2>&1 | tail -n 12
   0.003    0.40  GETSTATE                         dfuERROR  [0a]
   0.004    0.40  GETSTATUS                        dfuERROR errFIRMWARE  [0a 00 00 00 0a 00]
   0.004    0.40  CLRSTATUS
   0.005    0.40  GETSTATUS                        dfuIDLE  [00 00 00 00 02 00]
   0.005    0.00  SET_INTERFACE 0, setting 1
   0.005    0.40  DNLOAD 0 set address 0x1FFFC000  5 bytes  [21 00 c0 ff 1f]
   0.005    0.40  GETSTATUS                        dfuDNBUSY, poll 104 ms  [00 68 00 00 04 00]
   0.006    0.40  GETSTATUS                        dfuDNLOAD-IDLE, took 0.4 ms  [00 00 00 00 05 00]
   0.006    0.40  ABORT
   0.007    0.40  UPLOAD 2 <- 0x1FFFC000           16 bytes
                  1FFFC000  ef aa ff ff ff ff ff ff ff 0f ff ff ff ff ff ff  ................
   0.007    0.40  ABORT
$ moonflash --virtual-time -d sim:f407#1 -d sim:f407#left,serial=A1 --trace erase --address 0x08004000 2>&1 | tail -n 12
sim:f407#left,serial=A1:    0.456    0.40  GETSTATUS                        dfuDNBUSY, poll 104 ms
sim:f407#1:                 0.456    0.40  GETSTATUS                        dfuDNLOAD-IDLE, took 0.4 ms
sim:f407#left,serial=A1:    0.456    0.40  GETSTATUS                        dfuDNLOAD-IDLE, took 0.4 ms
sim:f407#1:                 0.456    0.40  ABORT
sim:f407#left,serial=A1:    0.456    0.40  ABORT
sim:f407#1:                 0.457    3.40  UPLOAD 2 <- 0x08003800           2048 bytes
sim:f407#left,serial=A1:    0.457    3.40  UPLOAD 2 <- 0x08003800           2048 bytes
sim:f407#1: erased 1 sector (0.5 s)
sim:f407#left,serial=A1: erased 1 sector (0.5 s)
2 boards passed.
sim:f407#1:                 0.460    0.40  ABORT
sim:f407#left,serial=A1:    0.460    0.40  ABORT
$ moonflash --virtual-time -d sim:f407 --quiet --json --trace erase --address 0x08004000 2>&1 >/dev/null | head -n 2
    at s      ms  request and block                answer
   0.000    0.40  GET_DESCRIPTOR string 0          4 bytes
$ moonflash --virtual-time -d sim:f407 -e 'trace.start() local b <close> = dfu.open() b:erase_page(0x08004000) print(trace(b, 3))'
    at s      ms  request and block                answer
   0.005    0.40  DNLOAD 0 erase 0x08004000        5 bytes
   0.005    0.40  GETSTATUS                        dfuDNBUSY, poll 100 ms
   0.106  300.40  GETSTATUS                        dfuDNLOAD-IDLE, took 400.4 ms
$ moonflash --virtual-time -d sim:f407 -e 'dfu.observe(function() error("oops") end) local b <close> = dfu.open() print(b:get_state())'
moonflash: internal error, tracing stopped: -e:1: oops
dfuERROR
$ printf firmware >fw.bin; moonflash --virtual-time -d sim:f407 --pcap fw.bin erase --address 0x08004000
moonflash: --pcap fw.bin: exists and is not a capture file; not overwritten
[status 73]

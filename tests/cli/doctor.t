What is looked at when it does not work, and how that reads.

$ moonflash -d sim:f407 doctor
ok  system    Linux ~, libusb ~, moonflash ~.~.~

sim:f407  0483:df11  STM32  BOOTLOADER  serial 315A28A0B956
ok  mode      in DFU mode: DfuSe 1.1a, transfers of 2048 bytes
ok  answer    dfuERROR (errFIRMWARE): ST's ROMs start in this state; any command
              clears it
ok  commands  get commands, set address, erase, read unprotect
ok  layout    12 sectors, 1 MB from 0x08000000; and 3 other memories
ok  reading   not protected; the flash is blank: 'leave' has nothing to start
ok  writing   no sector is write-protected
ok  quirks    no known quirks of the STM32F2 or STM32F405/407; status is polled
              early (this ROM tolerates it)

Nothing is wrong.
$ moonflash -d sim:f407,rdp=1 doctor
ok  system    Linux ~, libusb ~, moonflash ~.~.~

sim:f407,rdp=1  0483:df11  STM32  BOOTLOADER  serial 315A28A0B956
ok  mode      in DFU mode: DfuSe 1.1a, transfers of 2048 bytes
ok  answer    dfuERROR (errFIRMWARE): ST's ROMs start in this state; any command
              clears it
ok  commands  get commands, set address, erase, read unprotect
ok  layout    12 sectors, 1 MB from 0x08000000; and 3 other memories
!!  reading   read protection is on: nothing can be read, erased or written
      'moonflash unprotect' removes the protection, and ERASES THE WHOLE CHIP.
ok  quirks    no known quirks of the STM32F2 or STM32F405/407; status is polled
              early (this ROM tolerates it)
moonflash: sim:f407,rdp=1: read protection is on: nothing can be read, erased or written
[status 80]
$ moonflash -d sim:f407,wrp=5 doctor
ok  system    Linux ~, libusb ~, moonflash ~.~.~

sim:f407,wrp=5  0483:df11  STM32  BOOTLOADER  serial 315A28A0B956
ok  mode      in DFU mode: DfuSe 1.1a, transfers of 2048 bytes
ok  answer    dfuERROR (errFIRMWARE): ST's ROMs start in this state; any command
              clears it
ok  commands  get commands, set address, erase, read unprotect
ok  layout    12 sectors, 1 MB from 0x08000000; and 3 other memories
ok  reading   not protected; the flash is blank: 'leave' has nothing to start
--  writing   write-protected: sectors 0, 2; writing has no effect there
      'moonflash optbytes nWRP=0xFFF' removes all write protection.
ok  quirks    no known quirks of the STM32F2 or STM32F405/407; status is polled
              early (this ROM tolerates it)

Nothing is wrong; 1 thing to note (--).
$ moonflash --virtual-time -d sim:f407,state=dfuDNBUSY doctor
ok  system    Linux ~, libusb ~, moonflash ~.~.~

sim:f407,state=dfuDNBUSY  0483:df11  STM32  BOOTLOADER  serial 315A28A0B956
ok  mode      in DFU mode: DfuSe 1.1a, transfers of 2048 bytes
!!  answer    dfuDNBUSY: still busy after 2 s
      The board may be erasing for another program, which takes up to half a
      minute: wait, and run this again.
      If that does not help, reset the board (BOOT0 high), or reconnect it.
ok  layout    12 sectors, 1 MB from 0x08000000; and 3 other memories
ok  quirks    no known quirks of the STM32F2 or STM32F405/407; status is polled
              early (this ROM tolerates it)
moonflash: sim:f407,state=dfuDNBUSY: dfuDNBUSY: still busy after 2 s
[status 82]
$ moonflash --virtual-time -d sim:f407,fault=hang@1 doctor
ok  system    Linux ~, libusb ~, moonflash ~.~.~

sim:f407,fault=hang@1  0483:df11  STM32  BOOTLOADER  serial 315A28A0B956
ok  mode      in DFU mode: DfuSe 1.1a, transfers of 2048 bytes
!!  answer    no answer within 1 s
      The board may be erasing for another program, which takes up to half a
      minute: wait, and run this again.
      If that does not help, reset the board (BOOT0 high), or reconnect it.
ok  layout    12 sectors, 1 MB from 0x08000000; and 3 other memories
ok  quirks    no known quirks of the STM32F2 or STM32F405/407; status is polled
              early (this ROM tolerates it)
moonflash: sim:f407,fault=hang@1: no answer within 1 s
[status 82]
$ moonflash -d sim:dfu11 doctor
ok  system    Linux ~, libusb ~, moonflash ~.~.~

sim:dfu11  1209:0001  Simulated DFU 1.1 board  serial D110000001
!!  mode      runs its program; not in DFU mode
      'moonflash -d sim:dfu11 detach' puts it into DFU mode.
      If it comes back unchanged and is an STM32: BOOT0 to VDD (on an F4 also
      PB2 to GND), and press reset.
moonflash: sim:dfu11: runs its program; not in DFU mode
[status 69]
$ moonflash --virtual-time -d sim:g474 -d sim:l452,fault=unplug@4 doctor
ok  system    Linux ~, libusb ~, moonflash ~.~.~

sim:g474  0483:df11  DFU in FS Mode  serial 20474A0B1C2D
ok  mode      in DFU mode: DfuSe 1.1a, transfers of 1024 bytes
ok  answer    dfuERROR (errFIRMWARE): ST's ROMs start in this state; any command
              clears it
ok  commands  get commands, set address, erase, read unprotect
ok  layout    256 sectors, 512 KB from 0x08000000; and 2 other memories
ok  reading   not protected; the flash is blank: 'leave' has nothing to start
ok  writing   no sector is write-protected
ok  quirks    no known quirks of the STM32G47x/48x

sim:l452,fault=unplug@4  0483:df11  STM32  BOOTLOADER  serial 20433A0B1C2D
ok  mode      in DFU mode: DfuSe 1.1a, transfers of 2048 bytes
ok  answer    dfuERROR (errFIRMWARE): ST's ROMs start in this state; any command
              clears it
!!  commands  the board went away while listing its commands
      Reconnect the board (BOOT0 high) and run the same command again.
ok  layout    256 sectors, 512 KB from 0x08000000; and 3 other memories
ok  quirks    no known quirks of the STM32L45x/46x
moonflash: sim:l452,fault=unplug@4: the board went away while listing its commands
[status 74]
$ moonflash -d sim:f407 doctor --layout @Flash/0x08000000/04*016Kg | grep layout
ok  layout    4 sectors, 64 KB from 0x08000000; and 3 other memories
$ moonflash --json -d sim:f407,state=dfuMANIFEST-WAIT-RESET doctor 2>/dev/null
{"event":"result","path":"sim:f407,state=dfuMANIFEST-WAIT-RESET","outcome":"FAIL","code":"dfu.reset","data":{"checks":[{"check":"system","found":"Linux ~, libusb ~, moonflash ~.~.~","level":"ok"},{"path":"sim:f407,state=dfuMANIFEST-WAIT-RESET","check":"mode","found":"in DFU mode: DfuSe 1.1a, transfers of 2048 bytes","level":"ok"},{"path":"sim:f407,state=dfuMANIFEST-WAIT-RESET","code":"dfu.reset","check":"answer","found":"dfuMANIFEST-WAIT-RESET: the board has new firmware and waits for a reset","level":"fail","todo":"Reset the board (BOOT0 high), or reconnect it."},{"path":"sim:f407,state=dfuMANIFEST-WAIT-RESET","check":"layout","found":"12 sectors, 1 MB from 0x08000000; and 3 other memories","level":"ok"},{"path":"sim:f407,state=dfuMANIFEST-WAIT-RESET","check":"quirks","found":"no known quirks of the STM32F2 or STM32F405/407; status is polled early (this ROM tolerates it)","level":"ok"}]},"message":"sim:f407,state=dfuMANIFEST-WAIT-RESET: dfuMANIFEST-WAIT-RESET: the board has new firmware and waits for a reset"}
[status 76]
$ moonflash -q -d sim:f407 doctor | head -n 1
ok  system    Linux ~, libusb ~, moonflash ~.~.~
$ moonflash -d nonsense doctor
moonflash: 'nonsense' is not a board selector: 'nonsense' is no path, slot, VID:PID or NAME=VALUE
  Use a path (1-4.2), a slot, VID:PID (0483:df11), serial=..., alt=...,
  mode=runtime, several of them with commas between, or sim:f407.
[status 64]
$ moonflash help doctor | tail -n 5
Options of every recipe: moonflash help options

Checks this computer and each board. Marks: ok, !! (bad), -- (worth knowing).
Writes and erases nothing, but clears dfuERROR, as any command does.
The exit status is that of the first !! line.
$ echo 'local m = require("moonflash.doctor.machine").new(arg[1]); m.versions.kernel = arg[2] or "6.1.0"; print(require("moonflash.doctor").examine(m))' >pc.lua
$ mkdir empty; moonflash pc.lua empty
ok  system    Linux ~, libusb ~, moonflash ~.~.~
!!  usb       no USB controller found
        lspci | grep -i usb; sudo modprobe xhci-pci
      Without a board: -d sim:f407 is a simulated one.
$ mkdir -p wsl; moonflash pc.lua wsl 5.15.90.1-microsoft-standard-WSL2
ok  system    Linux ~, libusb ~, moonflash ~.~.~
!!  usb       WSL has no USB of its own
      On Windows, with usbipd-win installed, as administrator:
        usbipd list
        usbipd bind --busid 1-4
        usbipd attach --wsl --busid 1-4
      Without a board: -d sim:f407 is a simulated one.
$ mkdir -p pc/sys/bus/usb/devices/usb1 pc/dev/bus/usb; moonflash pc.lua pc
ok  system    Linux ~, libusb ~, moonflash ~.~.~
ok  usb       0 devices on 1 bus
--  rule      no udev rule lets users open boards
      To allow access for the user at this computer:
        moonflash udev | sudo tee /etc/udev/rules.d/70-moonflash.rules
        sudo udevadm control --reload && sudo udevadm trigger
!!  board     no board with a DFU interface found
      An STM32: BOOT0 to VDD (on an F4 also PB2 to GND), and press reset; then
      run this again.
      If 'lsusb' shows nothing new then, try another cable (many only charge)
      and another port.
      Without a board: -d sim:f407 is a simulated one.

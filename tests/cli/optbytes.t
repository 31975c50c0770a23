Option bytes by name: shown, changed, and what is refused.

$ moonflash --virtual-time -d sim:f407 optbytes
BOR_LEV     3      brownout reset off
RDP         0xAA   level 0, no read protection
WDG_SW      1      software starts the independent watchdog
nRST_STDBY  1      entering Standby mode does not reset
nRST_STOP   1      entering Stop mode does not reset
nWRP        0xFFF  no sector is write-protected
$ moonflash --virtual-time -d sim:f407 optbytes BOR_LEV=2 nWRP=0xFF0
BOR_LEV: 3 -> 2, brownout reset level 1
nWRP: 0xFFF -> 0xFF0, write-protected: sectors 0, 1, 2, 3 of 12
wrote 16 B, verified (0.1 s)
BOR_LEV     2      brownout reset level 1
RDP         0xAA   level 0, no read protection
WDG_SW      1      software starts the independent watchdog
nRST_STDBY  1      entering Standby mode does not reset
nRST_STOP   1      entering Stop mode does not reset
nWRP        0xFF0  write-protected: sectors 0, 1, 2, 3 of 12
$ moonflash --virtual-time -d sim:f407 optbytes BOR_LEV=3
The option bytes have these values already.
BOR_LEV     3      brownout reset off
RDP         0xAA   level 0, no read protection
WDG_SW      1      software starts the independent watchdog
nRST_STDBY  1      entering Standby mode does not reset
nRST_STOP   1      entering Stop mode does not reset
nWRP        0xFFF  no sector is write-protected
$ moonflash --virtual-time -d sim:f407 --dry-run optbytes BOR_LEV=2
BOR_LEV: 3 -> 2, brownout reset level 1
sim:f407: would write 0x1FFFC000, 16 B
Nothing was written.
$ moonflash --virtual-time -d sim:f407 --json optbytes BOR_LEV=1 2>/dev/null | tail -n 1
{"event":"result","path":"sim:f407","outcome":"PASS","board_seconds":0.11332701612903,"bytes_skipped":0,"bytes_verified":16,"bytes_written":16,"data":{"BOR_LEV":1,"RDP":170,"WDG_SW":1,"nRST_STDBY":1,"nRST_STOP":1,"nWRP":4095},"pid":57105,"sectors_erased":0,"serial":"315A28A0B956","start":"~-~-~T~:~:~Z","verified":true,"version":"~.~.~","vid":1155}
$ moonflash --virtual-time -d sim:f407 optbytes RDP=0xBB
RDP: 0xAA -> 0xBB, level 1, read protection
Going back to level 0 ('moonflash unprotect') ERASES THE WHOLE CHIP.
wrote 16 B, NOT VERIFIED (the read protection is on, and nothing can be read any more) (0.1 s)
$ moonflash --virtual-time -d sim:f407 optbytes RDP=0xCC
moonflash: sim:f407: RDP 0xCC is irreversible (level 2, closed for ever); nothing was sent
  The flash is untouched.
  If you mean it, add --irreversible.
[status 76]
$ moonflash --virtual-time -d sim:f407 optbytes RDP=0xCC --irreversible
RDP: 0xAA -> 0xCC, level 2, closed for ever
This can never be undone: no boot loader, no debugger, no other option bytes.
wrote 16 B, NOT VERIFIED (a closed chip does not come back to DFU mode), left (10.0 s)
$ moonflash -d sim:f407,rdp=1 optbytes RDP=0xAA
moonflash: sim:f407,rdp=1: read 0x1FFFC000: read protection is on (errVENDOR)
  The flash is untouched.
  'moonflash unprotect' removes the protection, and ERASES THE WHOLE CHIP.
[status 80]
$ moonflash -d sim:f407 optbytes BORLEV=2
moonflash: sim:f407: a board that can be an STM32F2 or STM32F405/407 has no option 'BORLEV' (did you mean 'BOR_LEV'?)
  'moonflash optbytes' shows the option bytes, and sets them by name.
[status 64]
$ moonflash -d sim:f407 optbytes BOR_LEV=4
moonflash: sim:f407: BOR_LEV is a number from 0 to 3, not 4
  'moonflash optbytes' shows the option bytes, and sets them by name.
[status 64]
$ moonflash -d sim:f407 optbytes RDP=1
moonflash: sim:f407: RDP is one of 0xAA (level 0, no read protection), 0xBB (level 1, read protection), 0xCC (level 2, closed for ever), 0x55 (level 1, read protection)
  'moonflash optbytes' shows the option bytes, and sets them by name.
[status 64]
$ moonflash -d sim:f407 optbytes BOR_LEV
moonflash: 'BOR_LEV' is not NAME=VALUE
  moonflash optbytes BOR_LEV=2
[status 64]
$ moonflash -d sim:f407 optbytes BOR_LEV=two
moonflash: BOR_LEV: 'two' is not a number
[status 64]
$ moonflash -d sim:f407 optbytes BOR_LEV=2 BOR_LEV=3
moonflash: BOR_LEV is given twice
[status 64]
$ moonflash help optbytes | grep -A 2 Arguments
Arguments:
   changes               one or more NAME=VALUE
   --irreversible        allow what can't be undone: RDP=0xCC closes the chip
$ moonflash -d sim:l452 optbytes
BOR_LEV     0
IWDG_STDBY  1      the independent watchdog runs in Standby mode
IWDG_STOP   1      the independent watchdog runs in Stop mode
IWDG_SW     1      software starts the independent watchdog
PCROP1_END  0x0000  (recalled, not proven)
PCROP1_STRT 0x7FFF  (recalled, not proven)
PCROP_RDP   0       (recalled, not proven)
RDP         0xAA   level 0, no read protection
SRAM2_PE    1
SRAM2_RST   1
WRP1A_END   0x00    (recalled, not proven)
WRP1A_STRT  0x7F    (recalled, not proven)
WRP1B_END   0x00    (recalled, not proven)
WRP1B_STRT  0x7F    (recalled, not proven)
WWDG_SW     1      software starts the window watchdog
nBOOT0      1
nBOOT1      1
nRST_SHDW   1      entering Shutdown mode does not reset
nRST_STDBY  1      entering Standby mode does not reset
nRST_STOP   1      entering Stop mode does not reset
nSWBOOT0    1
$ moonflash --virtual-time -d sim:f407,fault=unplug@16 optbytes BOR_LEV=2
BOR_LEV: 3 -> 2, brownout reset level 1
moonflash: sim:f407,fault=unplug@16: the board went away while writing 0x1FFFC000
  0x1FFFC000..0x1FFFC00F is in doubt; the rest is untouched.
  Reconnect the board (BOOT0 high) and run the same command again.
[status 74]
$ printf moonflash >x.bin; moonflash -d sim:f407 flash x.bin@0x1FFFC000
moonflash: sim:f407: x.bin has data for the option bytes at 0x1FFFC000 (9 B)
  The flash is untouched.
  --skip-outside leaves these pieces out.
  --only FIRST..LAST or MEMORY writes only that part of the image.
  'moonflash optbytes' shows the option bytes, and sets them by name.
[status 65]
$ moonflash rehearse optbytes BOR_LEV=2 | sed 's/   [0-9.]* s$//'
optbytes on sim:f407: 27 requests, 6 faults at each of 27: 162 runs
No false success. Every message was correct about the flash. Every rerun passed.

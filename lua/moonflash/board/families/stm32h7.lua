-- SPDX-License-Identifier: MIT
-- STM32H7. The option bytes are registers: for each a word in force (CUR), and behind it the word
-- that is programmed (PRG). Which of them the ROM takes is not known, so both are written.
local KB = 1024
local NEW = "DFU in FS Mode"
local FIRST = "BOR_LEV[3:2] IWDG1_SW[4] NRST_STOP_D1[6] NRST_STBY_D1[7] RDP[15:8] "
  .. "FZ_IWDG_STOP[17] FZ_IWDG_SDBY[18] SECURITY[21] IO_HSLV[29]"
local FOREVER = { RDP = { [0xCC] = "read protection level 2" },
  SECURITY = { [1] = "security: only a regression that erases the whole chip goes back" } }

local function family(it)
  it.versions = { { 0x0200 }, "logs of dfu-util -l" }
  it.align, it.erased = { 8, "AN2606 table 7" }, { 0xFF, "probe-rs" }
  it.enter = { "BOOT0 high, then reset", "AN2606" }
  it.serial = { "panda", "commaai panda, python/dfu.py" }
  return it
end

local BOOT = "BOOT_ADD0[15:0] BOOT_ADD1[31:16]"
local AREA = { "PROT_AREA_START1[11:0] PROT_AREA_END1[27:16] DMEP1[31]",
               "SEC_AREA_START1[11:0] SEC_AREA_END1[27:16] DMES1[31]" }

return {
  family {
    name = "STM32H72x/73x", covers = "STM32H723, H725, H730, H733, H735",
    simulated = { "h723" },
    chip_id = { 0x483, "AN2606 table 226" },
    roms = { { version = 0x0200, product = NEW, "@Internal Flash   /0x08000000/8*128Kg",
               "@Option Bytes   /0x5200201C/01*88 e", seen = "log 37815232886" } },
    flash = { { "8*128Kg", "4*128Kg", "1*128Kg" }, "stm32-data" }, unit = { 32, "stm32-data" },
    erase_ms = { 2000, "DS12110, as the H743", "inferred" },
    erase_max_ms = { 4000, "DS12930, as the H743", "inferred" },
    write_us = { 290, "DS12110, as the H743", "inferred" },
    connect_ms = { 108, "AN2606 table 227" },
    loader_id = { 0x1FF1E7FE, "AN2606" }, loaders = { 0x93 },
    uid = { { 0x1FF1E800, 4, 8 }, "CMSIS" }, size_at = { 0x1FF1E880, "CMSIS" },
    faults = {
      { "announces-too-much", "chips with less flash announce 1 MB, too", "log 37815232886",
        mark = "inferred" },
      { "power-locked", "ROMs before V9.3 leave the register PWR_CR3 locked until power-off",
        "AN2606" },
    },
    options = {
      source = "CMSIS; length from dfu-util -l", form = "registers", resets = false,
      { address = 0x5200201C, length = 88, words = {
        [0x00] = FIRST .. " ST_RAM_SIZE[20:19] NRST_STOP_D2[24] NRST_STBY_D2[25]",
        [0x0C] = AREA[1], [0x14] = AREA[2], [0x1C] = "WRPSn1[7:0]", [0x24] = BOOT } },
      open = { "RDP", 0xAA }, forever = FOREVER,
      protects = { bits = { "WRPSn1" }, protected = 0, size = "sector", mark = "recalled" },
    },
  },
  family {
    name = "STM32H74x/75x", covers = "STM32H742, H743, H745, H747, H750, H753, H755, H757",
    simulated = { "h743", "h743v", "h743v91", "h743v133" },
    chip_id = { 0x450, "AN2606 table 226" }, two_banks = { true, "stm32-data" },
    roms = { { version = 0x0200, product = NEW, "@Internal Flash   /0x08000000/16*128Kg",
               "@Option Bytes   /0x5200201C/01*128 e", seen = "logs of dfu-util -l" } },
    flash = { { "16*128Kg", "8*128Kg", "1*128Kg" }, "stm32-data" }, unit = { 32, "stm32-data" },
    erase_ms = { 2000, "DS12110, by bytes" }, erase_max_ms = { 4000, "DS12930 table 64" },
    write_us = { 290, "DS12110, by bytes" }, connect_ms = { 108, "AN2606 table 227" },
    loader_id = { 0x1FF1E7FE, "read by a public tool, 69310890121" },
    loader_id_read = { true, "a public tool reads it, 69310890121" },
    loaders = { 0xD2, 0xD3, 0x90, 0x91,
                0x92 },
    uid = { { 0x1FF1E800, 4, 8 }, "CMSIS" }, size_at = { 0x1FF1E880, "CMSIS" },
    shared_serials = { { "200364500000", "200000500000" }, "libDaisy 195, NuttX" },
    faults = {
      { "bank2-erase-early", "V9.1 answers before an erase in the second bank is done: the data "
        .. "sheet's longest time is waited for", "AN2606 table 136", loaders = { 0x91 } },
      { "bank2-stays-busy", "some stay busy after an erase from 0x08100000 on: after the data "
        .. "sheet's longest time the state is cleared, and the sector is read",
        "betaflight-configurator 1861, 5348" },
      { "no-mass-erase", "V13.3 can't erase the whole chip with one command", "AN2606 table 136",
        loaders = { 0xD3 } },
      { "leave", "V13.2 can't start a program", "AN2606 table 136", loaders = { 0xD2 } },
      { "announces-too-much", "a chip with 1 MB has a hole from 0x08080000 to 0x080FFFFF, an H750 "
        .. "only 128 KB; all announce 2 MB", "stm32-data", hole = { 0x08080000, 0x080FFFFF } },
    },
    options = {
      source = "CMSIS; length from dfu-util -l", form = "registers", resets = false,
      { address = 0x5200201C, length = 128, words = {
        [0x00] = FIRST .. " ST_RAM_SIZE[20:19] SWAP_BANK_OPT[31]", [0x0C] = AREA[1],
        [0x14] = AREA[2], [0x1C] = "WRPSn1[7:0]", [0x24] = BOOT } },
      open = { "RDP", 0xAA }, forever = FOREVER,
      protects = { bits = { "WRPSn1" }, protected = 0, size = "sector", mark = "recalled" },
    },
  },
  family {
    name = "STM32H7A3/7B3", covers = "STM32H7A3, H7B3, H7B0",
    simulated = { "h7a3", "h7a3v90" },
    chip_id = { 0x480, "AN2606 table 226" }, two_banks = { true, "stm32-data" },
    roms = {
      { version = 0x0200, product = NEW, "@Internal Flash   /0x08000000/256*08Kg",
        "@Option Bytes   /0x5200201C/01*297 e", "@OTP Memory   /0x08FFF000/01*1024 e",
        seen = "log 25104388161" },
      -- ROM V9.0. The strings are wrong: the pages have 8 KB, the option bytes are elsewhere, and
      -- this ROM has no OTP.
      { version = 0x0200, product = NEW, "@Internal Flash  /0x08000000/256*02Kg",
        "@Option Bytes  /0x1FF8000/01*128 e", "@OTP Memory  /0x1FF7000/01*1024 e",
        seen = "community.st.com 9234; AN2606 table 138", says = "256*2Kg", flash = "256*8Kg",
        drops = { 2, 3 } },
    },
    flash = { { "256*8Kg", "128*8Kg", "16*8Kg" }, "stm32-data" },
    unit = { 16, "OpenOCD; stm32-data says 32" },
    connect_ms = { 599, "AN2606 table 227" },
    loader_id = { 0x1FF13FFE, "AN2606" }, loaders = { 0x90, 0x91,
      0x92 },
    uid = { { 0x08FFF800, 4, 8 }, "CMSIS" }, size_at = { 0x08FFF80C, "CMSIS" },
    otp = { { 0x08FFF000, 1024 }, "CMSIS; layout string" },
    shared_serials = { { "FFFFFFFEFFFF" }, "community.st.com 9234 (ROM V9.0)" },
    faults = { { "protection", "V9.1 with read protection restarts without end while USB is "
      .. "connected", "AN2606 table 138" } },
    options = {
      source = "CMSIS; length from dfu-util -l", form = "registers", resets = false,
      { address = 0x5200201C, length = 297, words = {
        [0x00] = FIRST .. " VDDMMC_HSLV[16] SWAP_BANK_OPT[31]", [0x0C] = AREA[1], [0x14] = AREA[2],
        [0x1C] = "WRPSGn1[31:0]", [0x24] = BOOT, [0x4C] = "OTPBL[31:0]",
        [0x11C] = "WRPSGn2[31:0]" } },
      keep = { OTPBL = "it locks OTP memory for ever" },
      open = { "RDP", 0xAA }, forever = FOREVER,
      -- a bit for four pages
      protects = { bits = { "WRPSGn1", "WRPSGn2" }, protected = 0, size = 32 * KB,
                   from = { 0x08000000, 0x08100000 }, mark = "recalled" },
    },
  },
}

-- SPDX-License-Identifier: MIT
-- STM32L4, and the L4+ (L4R, L4S, L4P, L4Q), whose option bytes are elsewhere.
local KB = 1024
local OLD = "STM32  BOOTLOADER"
local OTP = "@OTP Memory /0x1FFF7000/01*0001Ke"
local FEATURE = "@Device Feature/0xFFFF0000/01*004 e"
local OPTIONS = "@Option Bytes  /0x1FFF7800/01*040 e"
local BOTH_OPTIONS = "@Option Bytes  /0x1FFF7800/01*040 e/0x1FFFF800/01*040 e"
local FIRST = "RDP[7:0] BOR_LEV[10:8] nRST_STOP[12] nRST_STDBY[13] nRST_SHDW[14] IWDG_SW[16] "
  .. "IWDG_STOP[17] IWDG_STDBY[18] WWDG_SW[19] nBOOT1[23] SRAM2_PE[24] SRAM2_RST[25]"
local BOOT0 = " nSWBOOT0[26] nBOOT0[27]"
local BANKS = " BFB2[20] DUALBANK[21]"
local RECALLED = { [0x08] = true, [0x10] = true, [0x18] = true, [0x20] = true }
local OLD_BLOCKS = { "blocks-of-8", "a block of more than 256 bytes that is no multiple of 8 is "
  .. "written wrongly by old ROMs", "AN2606 tables 165 to 171" }

local NO_PCROP = "the ROM can't write it (AN2606 tables 163 to 175)"
local PCROP = { PCROP1_STRT = NO_PCROP, PCROP1_END = NO_PCROP, PCROP_RDP = NO_PCROP,
                PCROP2_STRT = NO_PCROP, PCROP2_END = NO_PCROP }

-- wide: PCROP and WRP have 16 and 8 bits, as in the L47x.
local function bank(n, address, first, wide)
  local pcrop = wide and "[15:0]" or "[14:0]"
  local start, stop = wide and "[7:0]" or "[6:0]", wide and "[23:16]" or "[22:16]"
  return { address = address, length = 40, words = {
    [0x00] = first, [0x08] = "PCROP" .. n .. "_STRT" .. pcrop,
    [0x10] = "PCROP" .. n .. "_END" .. pcrop .. (n == 1 and " PCROP_RDP[31]" or ""),
    [0x18] = "WRP" .. n .. "A_STRT" .. start .. " WRP" .. n .. "A_END" .. stop,
    [0x20] = "WRP" .. n .. "B_STRT" .. start .. " WRP" .. n .. "B_END" .. stop },
    recalled = RECALLED }
end

local function areas(size, second)
  local list = { { "WRP1A_STRT", "WRP1A_END", from = 0x08000000 },
                 { "WRP1B_STRT", "WRP1B_END", from = 0x08000000 } }
  if second then
    list[3] = { "WRP2A_STRT", "WRP2A_END", from = second }
    list[4] = { "WRP2B_STRT", "WRP2B_END", from = second }
  end
  return { areas = list, size = size, mark = "recalled" }
end

local CHANGE = "All page sizes change: the flash has to be written again."
local SECTORS = { DBANK = CHANGE, DB1M = CHANGE, DB512K = CHANGE, DUALBANK = CHANGE }

local function family(it)
  it.versions = it.versions or { { 0x2200 }, "logs of dfu-util -l" }
  it.unit, it.align = { 8, "stm32-data" }, { 8, "AN2606 table 7" }
  it.erased = { 0xFF, "probe-rs" }
  it.erase_ms = it.erase_ms or { 22.02, "DS11451 table 58" }
  it.erase_max_ms = it.erase_max_ms or { 24.47, "DS11451 table 58" }
  it.mass_ms = it.mass_ms or { 22.13, "DS11451 table 58, a bank" }
  it.write_us = { 81.69, "DS11451 table 58" }
  it.uid, it.size_at = { { 0x1FFF7590, 4, 8 }, "CMSIS" }, { 0x1FFF75E0, "CMSIS" }
  it.otp = { { 0x1FFF7000, 1024 }, "CMSIS; layout string" }
  it.enter = it.enter or { "BOOT0 high, then reset, if the option byte nSWBOOT0 is 1", "CMSIS",
                           "inferred" }
  return it
end

-- mark: of the places; "recalled" where no string was seen.
local function options(blocks, protects, resets, mark)
  blocks.source = mark and "CMSIS; the string was not seen" or "CMSIS; length from dfu-util -l"
  blocks.form, blocks.mark = "word", blocks.mark or mark
  blocks.resets, blocks.protects = resets, protects
  blocks.open = { "RDP", 0xAA }
  blocks.forever = { RDP = { [0xCC] = "read protection level 2" } }
  return blocks
end

local function one_bank(resets, mark)
  return options({ bank(1, 0x1FFF7800, FIRST .. BOOT0), keep = PCROP }, areas(2 * KB), resets, mark)
end

return {
  family {
    name = "STM32L412/422", covers = "STM32L412, L422", chip_id = { 0x464, "AN2606 table 226" },
    roms = { { version = 0x2200, product = OLD, "@Internal Flash  /0x08000000/064*0002Kg", OPTIONS,
               OTP, FEATURE, inferred = "as the L45x" } },
    flash = { { "64*2Kg", "32*2Kg" }, "stm32-data" }, connect_ms = { 820, "AN2606 table 229" },
    loader_id = { 0x1FFF6FFE, "AN2606" }, loaders = { 0xD1 },
    options = one_bank(true, "recalled"),
  },
  family {
    name = "STM32L43x/44x", covers = "STM32L431, L432, L433, L442, L443",
    simulated = { "l433" },
    chip_id = { 0x435, "AN2606 table 226" },
    roms = { { version = 0x2200, product = OLD, "@Internal Flash  /0x08000000/0128*0002Kg", OPTIONS,
               OTP, FEATURE, inferred = "as the L45x" } },
    flash = { { "128*2Kg", "64*2Kg" }, "stm32-data" }, connect_ms = { 820, "AN2606 table 229" },
    poll_ms = { { erase = 21, write = 21, address = 21 }, "dfu-util ticket 40" },
    loader_id = { 0x1FFF6FFE, "AN2606" }, loaders = { 0x91 },
    faults = { OLD_BLOCKS, { "stalls", "requests are refused at random by old ROMs; they are sent "
      .. "again", "AN2606 table 165; dfu-util ticket 40" } },
    options = one_bank(true),
  },
  family {
    name = "STM32L45x/46x", covers = "STM32L451, L452, L462",
    simulated = { "l452" },
    chip_id = { 0x462, "AN2606 table 226" },
    roms = { { version = 0x2200, product = OLD, "@Internal Flash  /0x08000000/0256*0002Kg", OPTIONS,
               OTP, FEATURE, seen = "log 43111670262" } },
    flash = { { "256*2Kg", "128*2Kg" }, "stm32-data" }, connect_ms = { 330, "AN2606 table 229" },
    loader_id = { 0x1FFF6FFE, "AN2606" }, loaders = { 0x92 },
    faults = { { "announces-too-much", "the string is that of the die: a chip with less flash "
      .. "announces 512 KB or 1 MB", "log 51988937628" } },
    options = one_bank(true),
  },
  family {
    name = "STM32L47x/48x", covers = "STM32L471, L475, L476, L485, L486",
    simulated = { "l476" },
    chip_id = { 0x415, "AN2606 table 226" }, two_banks = { true, "stm32-data" },
    roms = { { version = 0x2200, product = OLD, "@Internal Flash  /0x08000000/512*0002Kg",
               BOTH_OPTIONS, OTP, FEATURE,
               inferred = "the flash string was seen (51988937628); the rest as the L4R" } },
    flash = { { "512*2Kg", "256*2Kg", "128*2Kg" }, "stm32-data" },
    connect_ms = { 2860, "AN2606 table 229, without LSE: 300, and 2560 to start" },
    loader_id = { 0x1FFF6FFE, "AN2606" }, loaders = { 0xA3, 0x92 },
    enter = { "BOOT0 high, then reset. With an LSE or HSE crystal the board appears sooner.",
              "AN2606" },
    faults = { OLD_BLOCKS, { "ram", "V10.1 and V9.0 write RAM wrongly", "AN2606 table 169" } },
    mass_ms = { 44.3, "DS11451 table 58, two banks", "inferred" },
    options = options({ bank(1, 0x1FFF7800, FIRST .. BANKS, true), bank(2, 0x1FFFF800, nil, true),
      keep = PCROP, costs = SECTORS }, areas(2 * KB, 0x08080000), false, "recalled"),
  },
  family {
    name = "STM32L496/4A6", covers = "STM32L496, L4A6", chip_id = { 0x461, "AN2606 table 226" },
    two_banks = { true, "stm32-data" },
    flash = { { "512*2Kg", "256*2Kg" }, "stm32-data" }, connect_ms = { 430, "AN2606 table 229" },
    loader_id = { 0x1FFF6FFE, "AN2606" }, loaders = { 0x93 },
    mass_ms = { 44.3, "DS11451 table 58, two banks", "inferred" },
    options = options({ bank(1, 0x1FFF7800, FIRST .. BANKS .. BOOT0), bank(2, 0x1FFFF800),
      keep = PCROP, costs = SECTORS }, nil, false, "recalled"),
  },
  family {
    name = "STM32L4Rx/4Sx", covers = "STM32L4R5, L4R7, L4R9, L4S5, L4S7, L4S9",
    simulated = { "l4r5" },
    chip_id = { 0x470, "AN2606 table 226" }, two_banks = { true, "stm32-data" },
    roms = { { version = 0x2200, product = OLD, "@Internal Flash  /0x08000000/512*0004Kg",
               "@Option Bytes  /0x1FF00000/01*040 e/0x1FF01000/01*040 e", OTP,
               seen = "log 254135511" } },
    flash = { { "512*4Kg", "256*4Kg", "256*8Kg" }, "stm32-data" },
    erase_ms = { 22.02, "as the L4", "inferred" }, erase_max_ms = { 24.47, "as the L4",
    "inferred" },
    mass_ms = { 44.3, "as the L4, two banks", "inferred" },
    connect_ms = { 322, "AN2606 table 229" },
    -- Whether the string changes with the mode is not known.
    modes = { { field = "DBANK", value = 0, name = "single-bank mode",
                flash = { ["512*4Kg"] = "256*8Kg" }, source = "OpenOCD", mark = "inferred" } },
    loader_id = { 0x1FFF6FFE, "AN2606" }, loaders = { 0x95 },
    options = options({ bank(1, 0x1FF00000, FIRST .. BOOT0 .. " BFB2[20] DB1M[21] DBANK[22]"),
      bank(2, 0x1FF01000), costs = SECTORS }, nil, false),
  },
  family {
    name = "STM32L4Px/4Qx", covers = "STM32L4P5, L4Q5", chip_id = { 0x471, "AN2606 table 226" },
    two_banks = { true, "stm32-data" },
    flash = { { "256*4Kg", "128*4Kg", "128*8Kg" }, "stm32-data" },
    erase_ms = { 22.02, "as the L4", "inferred" }, erase_max_ms = { 24.47, "as the L4",
    "inferred" },
    mass_ms = { 44.3, "as the L4, two banks", "inferred" },
    connect_ms = { 322, "AN2606 table 229" },
    loader_id = { 0x1FFF6FFE, "AN2606" }, loaders = { 0x90 },
    options = options({ bank(1, 0x1FF00000, FIRST .. BOOT0 .. " BFB2[20] DB512K[21] DBANK[22]"),
      keep = PCROP, costs = SECTORS }, nil, false, "inferred"),
  },
}

-- SPDX-License-Identifier: MIT
-- STM32H5. It has product states in place of read protection, and no Read Unprotect (AN3156).
local FLASH_2M = "@Internal Flash   /0x08000000/256*08Kg"

local function options(words)
  return {
    source = "CMSIS", form = "registers", resets = false, mark = "inferred",
    readonly = "product states are changed by a special command, and back by debug "
      .. "authentication only",
    { address = 0x40022050, words = words },
    open = { "PRODUCT_STATE", 0xED },
    forever = { PRODUCT_STATE = { [0x5C] = "product state locked",
      [0x17] = "product state provisioning", [0x2E] = "product state iROT provisioned",
      [0xC6] = "product state TZ closed", [0x72] = "product state closed",
      [0x9A] = "product state regression", [0xA3] = "product state NS regression" } },
  }
end

local function family(it)
  it.versions = it.versions or { { 0x0300 }, "AN2606 table 3; H563 measured (70151797682)" }
  it.two_banks = { true, "stm32-data" }
  it.unit, it.align = { 16, "stm32-data" }, { 16, "AN2606 table 7" }
  it.erased = { 0xFF, "probe-rs" }
  it.erase_ms, it.erase_max_ms = { 2, "data sheet" }, { 10, "data sheet" }
  it.uid, it.size_at = { { 0x08FFF800, 4, 8 }, "CMSIS" }, { 0x08FFF80C, "CMSIS" }
  it.otp = { { 0x08FFF000, 2048 }, "CMSIS" }
  it.enter = { "BOOT0 high, then reset", "AN2606" }
  it.commands = { { 0x00, 0x21, 0x41 }, "AN3156 4.2" }
  it.options = options { [0x00] = "BOR_LEV[1:0] BORH_EN[2] IWDG_SW[3] WWDG_SW[4] NRST_STOP[6] "
    .. "NRST_STDBY[7] PRODUCT_STATE[15:8] IO_VDD_HSLV[16] IO_VDDIO2_HSLV[17] IWDG_STOP[20] "
    .. "IWDG_STDBY[21] SWAP_BANK[31]" }
  return it
end

return {
  family {
    name = "STM32H503", covers = "STM32H503", chip_id = { 0x474, "AN2606 table 226" },
    flash = { { "16*8Kg" }, "stm32-data" }, connect_ms = { 251, "AN2606 table 229" },
    loader_id = { 0x0BF8FFFE, "AN2606" }, loaders = { 0xE2 },
  },
  family {
    name = "STM32H523/533", covers = "STM32H523, H533", chip_id = { 0x478, "AN2606 table 226" },
    flash = { { "64*8Kg", "32*8Kg" }, "stm32-data" },
    loader_id = { 0x0BF8FFFE, "AN2606" }, loaders = { 0xE2 },
  },
  family {
    name = "STM32H562/563/573", covers = "STM32H562, H563, H573",
    simulated = { "h563" },
    chip_id = { 0x484, "AN2606 table 226" },
    roms = {
      { version = 0x0300, product = "DFU in FS Mode", FLASH_2M,
        inferred = "the flash string was seen (70151797682); the other settings were not quoted" },
      { version = 0x0300, product = "DFU in FS Mode", "@Internal Flash   /0x08000000/128*08Kg",
        inferred = "the flash string was seen (70899371297); the other settings were not quoted" },
    },
    flash = { { "256*8Kg", "128*8Kg" }, "stm32-data" }, connect_ms = { 245, "AN2606 table 229" },
    loader_id = { 0x0BF9FAFE, "AN2606" }, loaders = { 0xE3, 0xE4,
      0xE5 },
    faults = {
      { "leave-locks-up", "leaving locked the core up on a measured board: only a reset starts the "
        .. "program", "measured, 70151797682" },
      { "crash", "V14.3 crashes with TrustZone and HDPL 3", "AN2606 table 129" },
      { "eeprom", "V14.4 can't erase the EEPROM of chips with 1 MB", "AN2606 table 129" },
    },
  },
  family {
    name = "STM32H5E/H5F", covers = "STM32H5Ex, H5Fx", chip_id = { 0x47A, "AN2606 table 226" },
        loader_id = { 0x0BFB5FFE, "AN2606" }, loaders = { 0xF0 },
    faults = { { "crystal", "USB high speed; the ROM needs a crystal", "AN2606" } },
  },
}

-- SPDX-License-Identifier: MIT
-- GigaDevice. All its boot loaders have the same ids.
local KB = 1024
local IDS = { { { 0x28E9, 0x0189 } }, "logs of dfu-util -l" }

local function options(form, blocks, mark)
  blocks.source, blocks.form, blocks.mark = "as the STM32's", form, mark
  blocks.resets = false
  return blocks
end

local function like_f1(forever)
  return options("byte", {
    { address = 0x1FFFF800, length = 16, words = {
      [0x00] = "SPC[7:0] WDG_SW[16] nRST_DPSLP[17] nRST_STDBY[18]",
      [0x04] = "DATA0[7:0] DATA1[23:16]", [0x08] = "WP0[7:0] WP1[23:16]",
      [0x0C] = "WP2[7:0] WP3[23:16]" } },
    open = { "SPC", 0xA5 }, forever = forever or {},
    protects = { bits = { "WP0", "WP1", "WP2", "WP3" }, protected = 0, size = 4 * KB, rest = true,
                 mark = "recalled" } }, "recalled")
end

return {
  {
    name = "GD32VF103", covers = "GD32VF103, and GD32F1 and F3 with this boot loader", ids = IDS,
    simulated = { "gd32vf103", "gd32vf103a" },
    versions = { { 0x0100, 0x1000 }, "logs of dfu-util -l" }, riscv = { true, "maker" },
    roms = {
      { version = 0x0100, "@Internal Flash  /0x08000000/128*001Kg",
        "@Option Bytes  /0x1FFFF800/01*016Be", seen = "logs 25142686807, 8259210496" },
      { version = 0x0100, "@Internal Flash  /0x08000000/128*001Kg", seen = "log 40493137112" },
      -- Revision A announces pages of 2 KB, four times as many bytes as it has.
      { version = 0x1000, "@Internal Flash  /0x08000000/512*002Kg",
        "@Option Bytes  /0x1FFFF800/01*016 g", seen = "log 32303948245; dfu-util 529fa51",
        says = "512*2Kg", flash = "128*1Kg" },
    },
    flash = { { "128*1Kg", "64*1Kg", "32*1Kg", "16*1Kg" }, "dfu-util 529fa51, f2b7d4b" },
    unit = { 4, "as the STM32F1", "recalled" }, erased = { 0xFF, "probe-rs" },
    poll_ms = { { erase = 100, write = 104, address = 104 }, "gd32-dfu-utils 3" },
    shared_serials = { { "3CBJ", "5C8GNGN" }, "logs of dfu-util -l" },
    enter = { "BOOT0 high and BOOT1 low, then reset", "field reports" },
    faults = {
      { "no-mass-erase", "the mass erase fails", "field reports" },
      { "leave-unanswered", "leaving is not answered", "field reports" },
    },
    options = like_f1(),
  },
  {
    name = "GD32F4xx", covers = "GD32F405, F407, F425, F427, F450, F470",
    ids = { { { 0x28E9, 0x0189 } }, "as the GD32VF103", "recalled" },
    flash = { { "4*16Kg,1*64Kg,7*128Kg", "4*16Kg,1*64Kg,3*128Kg",
                "4*16Kg,1*64Kg,7*128Kg,4*16Kg,1*64Kg,7*128Kg" }, "probe-rs", "recalled" },
    unit = { 4, "as the STM32F4", "recalled" }, erased = { 0xFF, "probe-rs" },
    options = options("half", {
      { address = 0x1FFFC000, length = 16, words = {
        [0x00] = "BOR_LEV[3:2] WDG_SW[5] nRST_DPSLP[6] nRST_STDBY[7] SPC[15:8]",
        [0x08] = "nWP[11:0]" } },
      open = { "SPC", 0xAA }, forever = { SPC = { [0xCC] = "protection level high" } } },
      "recalled"),
  },
}

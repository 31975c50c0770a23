-- SPDX-License-Identifier: MIT
-- Artery AT32. Option bytes are called user system data. Whether high-level access protection can
-- be undone is not known of all chips, so it counts as final on all of them. The F421 has no USB.
local IDS = { { { 0x2E3C, 0xDF11 } }, "logs of dfu-util -l" }
local FOREVER = { FAP = { [0xCC] = "high-level access protection" } }

-- That each byte has its complement behind it is recalled; one that has none when it is read gets
-- none when it is written.
local function options(address, length, seen, any_length)
  return {
    source = seen, form = "byte", resets = false,
    mark = (length or any_length) and "seen" or "recalled",
    { address = address, length = length, words = {
      [0x00] = "FAP[7:0] SSB[23:16]", [0x04] = "DATA0[7:0] DATA1[23:16]",
      [0x08] = "EPP0[7:0] EPP1[23:16]", [0x0C] = "EPP2[7:0] EPP3[23:16]" } },
    open = { "FAP", 0xA5 }, forever = FOREVER,
  }
end

local function family(it)
  it.ids = IDS
  it.erased = { 0xFF, "OpenOCD, probe-rs" }
  it.enter = { "BOOT0 high and BOOT1 low, then reset", "field reports" }
  return it
end

return {
  family {
    name = "AT32F402/405", covers = "AT32F402, F405",
    versions = { { 0x0200 }, "log 68708403197" },
    shared_serials = { { "AT32" }, "log 68708403197" },
    roms = {
      { version = 0x0200, product = "DFU in FS Mode", "@Internal Flash   /0x08000000/128*002Kg",
        "@Option byte     /0x1FFFF800/01*512g", seen = "log 68708403197" },
      { version = 0x0200, product = "DFU in FS Mode", "@Internal Flash   /0x08000000/128*001Kg",
        "@Option byte     /0x1FFFF800/01*512g", seen = "log 68708403197" },
    },
    flash = { { "128*2Kg", "128*1Kg" }, "layout strings" },
    options = options(0x1FFFF800, 512, "OpenOCD; length from dfu-util -l"),
  },
  family {
    name = "AT32F403A/407/413", covers = "AT32F403A, F407, F413",
    roms = { { "@Internal Flash  /0x08000000/0512*002Kg",
               inferred = "the flash string was seen (52086517866)" } },
    flash = { { "512*2Kg", "256*2Kg", "128*2Kg", "128*1Kg" }, "OpenOCD" },
    options = options(0x1FFFF800, nil, "OpenOCD"),
  },
  family {
    name = "AT32F415", covers = "AT32F415",
    simulated = { "at32f415" },
    roms = { { "@Internal Flash  /0x08000000/ 128*1Kg",
               "@Option Byte   /0x1FFFF800/02*016 e", seen = "logs 49724099, 45311812015" } },
    flash = { { "128*2Kg", "128*1Kg", "64*1Kg" }, "OpenOCD; layout string" },
    faults = { { "unprotect-fails", "removing the read protection reports a failure, and works",
                 "log 49724099" } },
    options = options(0x1FFFF800, 32, "OpenOCD; length from dfu-util -l"),
  },
  family {
    name = "AT32F435/437", covers = "AT32F435, F437",
    simulated = { "at32f435" },
    roms = {
      { "@Internal Flash   /0x08000000/512*002Kg",
        "@Option byte   /0x1FFFC000/01*512 g",
        inferred = "flash: log 71196612509; options: betaflight-configurator" },
      { "@Internal Flash   /0x08000000/08*04Ka,1000*04Kg", "@Option byte   /0x1FFFC000/01*4096 g",
        inferred = "betaflight-configurator" },
    },
    flash = { { "512*2Kg", "1008*4Kg", "112*4Kg", "128*2Kg" }, "probe-rs; layout strings" },
    options = options(0x1FFFC000, nil, "OpenOCD; betaflight-configurator", true), -- 512 or 4096
  },
}

-- SPDX-License-Identifier: MIT
-- The address of each family's read-protection byte, and the values that close a chip for ever, as
-- data.
--
-- A row: family; memory, the address of the option bytes; at, the addresses of the protection byte;
-- closes, the values that can't be undone, with their name; only, if every value but these closes
-- the chip as well; mark, the evidence: "seen" in CMSIS headers and reference manuals, "recalled"
-- from manuals and not checked, "inferred". A value counts as one that can't be undone unless a way
-- back is known.

local LEVEL_2 = { [0xCC] = "read protection level 2" }

return {
  -- CMSIS, FLASH_OBR and OPTCR (OB_RDP_LEVEL_2); the flash ROMs show them as memory.
  { family = "STM32F0/F3", memory = 0x1FFFF800, at = { 0x1FFFF800 }, closes = LEVEL_2,
    mark = "seen" },
  -- RDP has two levels: 0xA5, and any other value. There is no level 2.
  { family = "STM32F1", memory = 0x1FFFF800, at = {}, closes = {}, mark = "seen" },
  { family = "STM32F2/F4", memory = 0x1FFFC000, at = { 0x1FFFC001 }, closes = LEVEL_2,
    mark = "seen" },
  { family = "STM32F7", memory = 0x1FFF0000, at = { 0x1FFF0001 }, closes = LEVEL_2,
    mark = "seen" },
  { family = "STM32L0", memory = 0x1FF80000, at = { 0x1FF80000 }, closes = LEVEL_2,
    mark = "seen" },
  { family = "STM32L1", memory = 0x1FF80000, at = { 0x1FF80000 }, closes = LEVEL_2,
    mark = "seen" },
  { family = "STM32L4", memory = 0x1FFF7800, at = { 0x1FFF7800 }, closes = LEVEL_2,
    mark = "seen" },
  { family = "STM32L4R/L4P", memory = 0x1FF00000, at = { 0x1FF00000 }, closes = LEVEL_2,
    mark = "seen" },
  { family = "STM32G0", memory = 0x1FFF7800, at = { 0x1FFF7800 }, closes = LEVEL_2,
    mark = "seen" },
  { family = "STM32G4", memory = 0x1FFF7800, at = { 0x1FFF7800 }, closes = LEVEL_2,
    mark = "seen" },
  { family = "STM32C0", memory = 0x1FFF7800, at = { 0x1FFF7800 }, closes = LEVEL_2,
    mark = "seen" },
  { family = "STM32WB", memory = 0x1FFF8000, at = { 0x1FFF8000 }, closes = LEVEL_2,
    mark = "seen" },
  -- Registers, not memory: the word in force (CUR) and the word to be programmed (PRG).
  { family = "STM32H7", memory = 0x5200201C, at = { 0x5200201D, 0x52002021 }, closes = LEVEL_2,
    mark = "seen" },
  { family = "STM32L5/U3/U5/WBA", memory = 0x40022040, at = { 0x40022040 }, closes = LEVEL_2,
    mark = "seen" },
  { family = "STM32U0", memory = 0x40022020, at = { 0x40022020 }, closes = LEVEL_2,
    mark = "seen" },
  -- The product state; "locked" is final.
  { family = "STM32H5", memory = 0x40022050, at = { 0x40022051, 0x40022055 },
    closes = { [0x5C] = "product state locked" }, mark = "seen" },
  -- RM0522 6.5.8: any invalid value counts as level 2. 0xED is open. The values of the levels
  -- between are unknown, so they are refused, too.
  { family = "STM32C5", memory = 0x40022050, at = { 0x40022051, 0x40022055 }, only = { 0xED },
    closes = { [0x72] = "read protection level 2",
               [0xD1] = "read protection level 2 with boundary scan" }, mark = "seen" },
  -- NVSTATE closed; the way back is not documented.
  { family = "STM32H7R/S", memory = 0x52002200, at = { 0x52002200, 0x52002204 },
    closes = { [0x51] = "non-volatile state closed" }, mark = "inferred" },
  -- Artery's high-level flash access protection; whether it can be undone is unknown.
  { family = "AT32", memory = 0x1FFFF800, at = { 0x1FFFF800 },
    closes = { [0xCC] = "high-level access protection" }, mark = "recalled" },
  { family = "AT32F435/437", memory = 0x1FFFC000, at = { 0x1FFFC000 },
    closes = { [0xCC] = "high-level access protection" }, mark = "recalled" },
  { family = "GD32F4", memory = 0x1FFFC000, at = { 0x1FFFC001 }, closes = LEVEL_2,
    mark = "recalled" },
}

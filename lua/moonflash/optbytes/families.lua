-- SPDX-License-Identifier: MIT
-- The option bytes of families, as data. The names are those of ST's reference manuals.
--
-- A family: ids and flash (its runs of sectors, { count, size }) match boards; address and length
-- give the place of the option bytes, which are written as a whole. complements: a list of pairs,
-- { offset of a half word, offset of its complement }; a pair that is correct when it is read is
-- correct when it is written. Bytes without a field are written back as they were read.
--
-- A field: word is the offset of its 32-bit word, low and high are its bits there. values: the
-- meaning of each value; other: that of all other values; says: a function that returns the
-- meaning. only: no other values than `values` may be written. open: with any other value of this
-- field the board can't be read. irreversible: the value that can't be undone. costs: a consequence
-- of a value, shown before it is written.

local KB = 1024

-- The meaning of write-protection bits: a cleared bit protects its sector.
local function protected_sectors(count)
  return function(value)
    local list = {}
    for i = 0, count - 1 do
      if value >> i & 1 == 0 then list[#list + 1] = tostring(i) end
    end
    if #list == 0 then return "no sector is write-protected" end
    if #list == count then return "all sectors are write-protected" end
    return ("write-protected: sector%s %s of %d"):format(#list == 1 and "" or "s",
      table.concat(list, ", "), count)
  end
end

return {
  {
    -- RM0090 Rev 21, tables 15 and 16. Two other families can't be distinguished: the F2, which is
    -- equal (recalled, RM0033), and the F412, which has SPRMOD, bit 15 beside nWRP, too (recalled,
    -- RM0402). That bit is kept as it is.
    name = "STM32F405/407",
    vid = 0x0483, pid = 0xDF11,
    flash = { { 4, 16 * KB }, { 1, 64 * KB }, { 7, 128 * KB } },
    address = 0x1FFFC000, length = 16,
    -- RM0090 calls these reserved; an F407 was seen to have them (docs/protocol.md).
    complements = { { 0, 2 }, { 8, 10 } },
    fields = {
      { name = "BOR_LEV", word = 0, low = 2, high = 3,
        values = { [0] = "brownout reset level 3, the highest supply voltage",
                   [1] = "brownout reset level 2", [2] = "brownout reset level 1",
                   [3] = "brownout reset off" } },
      { name = "WDG_SW", word = 0, low = 5, high = 5,
        values = { [0] = "hardware starts the independent watchdog",
                   [1] = "software starts the independent watchdog" } },
      { name = "nRST_STOP", word = 0, low = 6, high = 6,
        values = { [0] = "entering Stop mode resets", [1] = "entering Stop mode does not reset" } },
      { name = "nRST_STDBY", word = 0, low = 7, high = 7,
        values = { [0] = "entering Standby mode resets",
                   [1] = "entering Standby mode does not reset" } },
      { name = "RDP", word = 0, low = 8, high = 15, only = true, open = 0xAA, irreversible = 0xCC,
        values = { [0xAA] = "level 0, no read protection", [0xBB] = "level 1, read protection",
                   [0xCC] = "level 2, closed for ever" },
        other = "level 1, read protection",
        costs = {
          [0xBB] = "Going back to level 0 ('moonflash unprotect') ERASES THE WHOLE CHIP.",
          [0xCC] = "This can never be undone: no boot loader, no debugger, no other option bytes.",
        } },
      { name = "nWRP", word = 8, low = 0, high = 11, says = protected_sectors(12) },
    },
  },
}

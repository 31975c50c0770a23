-- SPDX-License-Identifier: MIT
-- The option bytes of families of chips, as data. Names are those of ST's reference manuals.
--
-- A family: ids and flash (its runs of sectors, { count, size }) tell which boards it is for;
-- address and length say where its option bytes are, which are written whole; complements is a list
-- of { offset of a half word, offset of its complement }: where both agree when they are read, they
-- do when they are written, and bytes that no field has are written back as they were read.
--
-- A field: word is the offset of the 32-bit word that has it, low and high its bits there. values
-- says what a value means; other, what all else does; says, a function, does so where it has to be
-- worked out. only: nothing but `values` may be written. open: with any other value in that field
-- the board can't be read. irreversible: the value that can't be undone. costs: what a value means
-- for later, said before it is written.

local KB = 1024

-- Bits that are cleared, as sectors.
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
    -- RM0090 Rev 21, tables 15 and 16. Two others look the same from outside: the F2 is (recalled,
    -- RM0033), and the F412 is but for SPRMOD, bit 15 beside nWRP (recalled, RM0402), which stays.
    name = "STM32F405/407",
    vid = 0x0483, pid = 0xDF11,
    flash = { { 4, 16 * KB }, { 1, 64 * KB }, { 7, 128 * KB } },
    address = 0x1FFFC000, length = 16,
    -- Not in RM0090, which calls them reserved; an F407 was seen to have them (docs/protocol.md).
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

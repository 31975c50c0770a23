-- SPDX-License-Identifier: MIT
-- The meaning of option bytes, by name. The names are those of ST's reference manuals and headers.
local M = {}

local function choice(zero, one) return { [0] = zero, [1] = one } end

local STOP = choice("entering Stop mode resets", "entering Stop mode does not reset")
local STANDBY = choice("entering Standby mode resets", "entering Standby mode does not reset")
local SHUTDOWN = choice("entering Shutdown mode resets", "entering Shutdown mode does not reset")
local INDEPENDENT = choice("hardware starts the independent watchdog",
  "software starts the independent watchdog")
local WINDOW = choice("hardware starts the window watchdog", "software starts the window watchdog")
local IN_STOP = choice("the independent watchdog is frozen in Stop mode",
  "the independent watchdog runs in Stop mode")
local IN_STANDBY = choice("the independent watchdog is frozen in Standby mode",
  "the independent watchdog runs in Standby mode")

-- Names that mean the same in all families.
local MEANINGS = {
  nRST_STOP = STOP, NRST_STOP = STOP, NRST_STOP_D1 = STOP, NRST_STOP_D2 = STOP, nRST_DPSLP = STOP,
  nRST_STDBY = STANDBY, NRST_STDBY = STANDBY, NRST_STBY_D1 = STANDBY, NRST_STBY_D2 = STANDBY,
  nRST_SHDW = SHUTDOWN,
  WDG_SW = INDEPENDENT, IWDG_SW = INDEPENDENT, IWDG1_SW = INDEPENDENT, WWDG_SW = WINDOW,
  IWDG_STOP = IN_STOP, FZ_IWDG_STOP = IN_STOP,
  IWDG_STDBY = IN_STANDBY, FZ_IWDG_SDBY = IN_STANDBY,
  DBANK = choice("one bank", "two banks"), DUALBANK = choice("one bank", "two banks"),
  DB1M = choice("one bank", "two banks"), DUAL_BANK = choice("one bank", "two banks"),
  nDBANK = choice("two banks", "one bank"),
  TZEN = choice("no TrustZone", "TrustZone"), BOOT_LOCK = choice("not locked", "boot is locked"),
  SECURITY = choice("no security", "security is on"),
  -- RM0090; of the F2, F4 and F7
  BOR_LEV = { form = "half", width = 2, [0] = "brownout reset level 3, the highest supply voltage",
              [1] = "brownout reset level 2", [2] = "brownout reset level 1",
              [3] = "brownout reset off" },
}

-- The numbers of a mask's bits, as text.
local function bits_of(mask)
  local list = {}
  for i = 0, 31 do
    if mask >> i & 1 ~= 0 then list[#list + 1] = tostring(i) end
  end
  return list
end

local function most_of(field) return (1 << field.high - field.low + 1) - 1 end

-- A mask of write-protection bits: a bit for a sector, or for a number of bytes.
local function protection(protects, field, value)
  local most = most_of(field)
  local on = protects.protected == 0 and ~value & most or value
  local list, sectors = bits_of(on), protects.size == "sector" and not protects.modes
  if #list == 0 then return sectors and "no sector is write-protected" or "not write-protected" end
  if on == most then
    return sectors and "all sectors are write-protected" or "all of it is write-protected"
  end
  local count = field.high - field.low + 1
  return ("write-protected: %s%s %s of %d"):format(sectors and "sector" or "bit",
    #list == 1 and "" or "s", table.concat(list, ", "), count)
end

local function is_protection(protects, name)
  for _, known in ipairs(protects and protects.bits or {}) do
    if known == name then return true end
  end
  return false
end

-- The level of the read protection, or of what stands for it.
local function level(options, value)
  local why = (options.forever[options.open[1]] or {})[value]
  if value == 0x55 and options.readonly then return "level 0.5, read protection of a part" end
  if why then return why:gsub("^read protection ", "") .. ", closed for ever" end
  return value == options.open[2] and "level 0, no read protection" or "level 1, read protection"
end

---The meaning of a value; "" if it is not described.
---@param options table of a board (option_bytes.lua)
---@param field table
---@param value integer
---@return string
function M.meaning(options, field, value)
  if field.name == options.open[1] then return level(options, value) end
  if is_protection(options.protects, field.name) then
    return protection(options.protects, field, value)
  end
  local meaning = MEANINGS[field.name]
  if not meaning or meaning.form and meaning.form ~= options.form
    or meaning.width and most_of(field) ~= (1 << meaning.width) - 1 then
    return ""
  end
  return meaning[value] or ""
end

---The values that the protection field may be given: open, level 1, and those that are for ever.
---@param options table
---@return integer[]
function M.levels(options)
  local list, seen = {}, {}
  local function add(value)
    if math.type(value) and not seen[value] then
      seen[value], list[#list + 1] = true, value
    end
  end
  add(options.open[2])
  add(0xBB)
  for value in pairs(options.forever[options.open[1]] or {}) do add(value) end
  table.sort(list)
  add(0x55) -- ST's constant for level 1 on the F2, F4, F7 and H7
  return list
end

---What changing a field to a value costs, as text; nil if it costs nothing.
---@param options table
---@param field table
---@param value integer
---@return string?
function M.cost(options, field, value)
  local forever = options.forever[field.name]
  if forever and forever[value] then
    return field.name == options.open[1]
      and "This can never be undone: no boot loader, no debugger, no other option bytes."
      or "This can never be undone."
  end
  if field.name == options.open[1] and value ~= options.open[2] then
    return "Going back to level 0 ('moonflash unprotect') ERASES THE WHOLE CHIP."
  end
  return options.costs[field.name]
end

return M

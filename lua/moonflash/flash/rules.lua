-- SPDX-License-Identifier: MIT
-- What the chip and its ROM demand of a plan: sectors that depend on a mode, protected sectors,
-- sectors of the radio, and the known faults of erasing (the `faults` in board/families/).
local chip = require "moonflash.board.chip"
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local link = require "moonflash.link"
local memory = require "moonflash.memory"
local optbytes = require "moonflash.optbytes"
local part_of = require "moonflash.board.part"
local protects = require "moonflash.optbytes.protects"
local settings = require "moonflash.board.settings"
local setting = require "moonflash.flash.setting"
local shape = require "moonflash.board.family_shape"
local task = require "task"
local text = require "moonflash.base.text"

local M = {}

local FLASH = 0x08000000

-- ---- modes ----

local function same_sectors(a, b)
  if #a ~= #b then return false end
  for i, s in ipairs(a) do
    if s.size ~= b[i].size or s.count ~= b[i].count then return false end
  end
  return true
end

-- The sectors that a mode has in place of those that the board reports.
local function sectors_in(mode, segments)
  for reported, real in pairs(mode.flash) do
    if same_sectors(shape.sectors(reported), segments) then return shape.sectors(real) end
  end
end

-- The mode that the option bytes set: the row of the family, or nil. Second result: false if it is
-- not known.
local function mode_of(part, values)
  for _, mode in ipairs(part.modes) do
    local value = values and values[mode.field]
    if value == nil then return nil, false end
    if value == mode.value then return mode, true end
  end
  return nil, true
end

---Corrects the layout of a board whose sectors depend on a mode: reads its option bytes. Once for
---each device.
---@param board table
function M.settle(board)
  local state = class.state(board)
  local part, device = state.part, state.device
  if not part or #part.modes == 0 or device.settled or settings.layout or not state.dfuse then
    return
  end
  local mode, known = mode_of(part, (optbytes.values(board)))
  local main = board.alts[1]
  local real = mode and sectors_in(mode, main.layout.segments)
  device:settle(mode and mode.name or known and "" or nil, real)
  if real then
    link.configure(board, device:configuration())
    events.emit("remark", board, "mode", { mode = mode.name, mark = mode.mark or "seen" })
  end
end

-- ---- faults ----

local function fault_of(part, kind)
  for _, fault in ipairs(part and part.faults or {}) do
    if fault.kind == kind then return fault end
  end
end

local function has(list, value)
  for _, item in ipairs(list) do
    if item == value then return true end
  end
  return false
end

-- The id of the boot loader, where reading it was seen, and if it is one that is known; else nil.
local function version_of(board)
  local known = {}
  for _, family in ipairs(class.state(board).part.families) do
    if not family.loader_id_read then return nil end
    table.move(family.loaders, 1, #family.loaders, #known + 1, known)
  end
  local id = chip.loader_id(board)
  return id and has(known, id) and id or nil
end

-- Whether a fault holds for this board: its ROM's version is one of the fault's, or is not known.
local function holds(board, fault)
  local loaders = fault and fault.data.loaders
  if not fault or not loaders then return fault ~= nil end
  local device = class.state(board).device
  local id = device:remember("loader_id", function() return version_of(board) end)
  return id == nil or has(loaders, id)
end

---The fault of a board's ROM, if it holds.
---@param board table
---@param kind string
---@return table? fault
function M.fault(board, kind)
  local fault = fault_of(class.state(board).part, kind)
  return holds(board, fault) and fault or nil
end

-- The address of the second bank: half of the flash, as the board reports it.
local function second_bank(board)
  local segments = class.state(board).info.alts[1].layout.segments
  return segments[1] and segments[1].address + memory.size(segments) // 2
end

-- The sectors of a list from an address on.
local function from(sectors, address, alt)
  local list = {}
  for _, sector in ipairs(sectors) do
    if sector.address >= address and sector.alt == alt then list[#list + 1] = sector end
  end
  return list
end

local function names_of(sectors)
  local names = {}
  for i = 1, math.min(#sectors, 4) do names[i] = text.hex(sectors[i].address) end
  if #sectors > 4 then names[5] = ("%d more"):format(#sectors - 4) end
  local last = #names > 1 and table.remove(names)
  return table.concat(names, ", ") .. (last and " and " .. last or "")
end

-- Whether the mode in which a fault shows is in force; an unknown mode counts.
local function in_mode(board, fault)
  local state = class.state(board)
  local mode, always = state.device.settled, fault.data.always
  if not fault.data.mode or always and part_of.flash_size(state.info) >= always then return true end
  return mode == nil or mode == fault.data.mode
end

-- Refuses to erase sectors of the second bank one by one, where the ROM does it wrong.
local function check_second_bank(board, erased)
  for _, kind in ipairs { "bank2-erases-nothing", "bank2-erase-shifted" } do
    local fault = M.fault(board, kind)
    if fault and in_mode(board, fault) then
      local sectors = from(erased, second_bank(board), board.alts[1].number)
      if #sectors > 0 then
        errors.raise { code = "dfu.rom", path = board.path, op = "erase",
          address = sectors[1].address, remedy = { "second-bank" },
          message = ("%s: the sectors at %s can't be erased one by one: %s (%s); nothing was "
            .. "erased"):format(board.path, names_of(sectors), fault.text, fault.source) }
      end
    end
  end
end

-- Refuses what belongs to the firmware of the radio; all of the flash, if it is not known what.
local function check_radio(board, touched, values)
  local fault = fault_of(class.state(board).part, "radio")
  if not fault or settings.layout then return end
  local first = values and values[fault.data.field]
  if not first then
    errors.raise { code = "dfu.rom", path = board.path, op = "erase", remedy = { "radio-unknown" },
      message = ("%s: the top of the flash belongs to the radio's firmware, and the option bytes "
        .. "that tell where it begins can't be read; nothing was erased"):format(board.path) }
  end
  local sectors = from(touched, FLASH + first * fault.data.size, board.alts[1].number)
  if #sectors == 0 then return end
  errors.raise { code = "board.write-protected", path = board.path, op = "erase",
    address = sectors[1].address, remedy = { "radio" },
    message = ("%s: the sectors at %s belong to the radio's firmware; nothing was erased"):format(
      board.path, names_of(sectors)) }
end

-- ---- commands ----

-- The commands that a boot loader lists; nil if it has no list that can be believed. Boot loaders
-- that are not ROMs may never answer (mboot), or answer with other bytes (Black Magic).
local function listed(board)
  local state = class.state(board)
  if state.part.commands then return state.part.commands end
  if not part_of.may_be_rom(state.info) then return nil end
  local list = errors.catch("dfu", board.commands, board)
  return list and list[1] == 0 and list or nil
end

---Raises `dfu.rom` for a command that the boot loader does not list: it is not sent.
---@param board table
---@param command integer
---@param op string its name
function M.check_command(board, command, op)
  local list = class.state(board).device:remember("commands", function() return listed(board) end)
  if not list then return end
  for _, known in ipairs(list) do
    if known == command then return end
  end
  errors.raise { code = "dfu.rom", path = board.path, op = op, remedy = { "no-command" },
    message = ("%s: the boot loader does not know %s (0x%02X is not in its list of commands); it "
      .. "was not sent"):format(board.path, op, command) }
end

-- ---- write protection ----

local function overlaps(sector, range)
  return sector.address <= range.last and sector.last >= range.first
end

---The sectors of a list that the option bytes protect against writing. The option bytes are read.
---@param board table
---@param sectors table[]
---@return table[] sectors
---@return table? why the options that protect them: a list of names; unlock, the arguments of
---  `moonflash optbytes` that remove all protection
---@return table? values
function M.protected(board, sectors)
  local values, options, sound = optbytes.values(board)
  if not values then return {} end
  local main = board.alts[1]
  local mode = class.state(board).device.settled
  local ranges = protects.ranges(options, sound, values, main.layout.segments,
    mode ~= "" and mode or nil)
  local list, why, seen = {}, {}, {}
  for _, sector in ipairs(sectors) do
    local hit = false
    for _, range in ipairs(sector.alt == main.number and ranges or {}) do
      if overlaps(sector, range) then
        hit = true
        if not seen[range.why] then
          seen[range.why], why[#why + 1] = true, range.why
        end
      end
    end
    if hit then list[#list + 1] = sector end
  end
  if #list == 0 then return list, nil, values end
  why.unlock, why.mark = protects.unlock(options), options.protects.mark
  return list, why, values
end

-- ---- plans ----

-- Tells about sectors that some chips with this string do not have.
local function tell_holes(board, touched)
  for _, fault in ipairs(class.state(board).part.faults) do
    local hole = fault.data.hole
    for _, sector in ipairs(hole and touched or {}) do
      if sector.address <= hole[2] and sector.last >= hole[1] then
        events.emit("remark", board, "fault", { text = fault.text, source = fault.source })
        break
      end
    end
  end
end

---Looks at the sectors of a plan that will change. Sets plan.protected and plan.protected_by, and
---raises `dfu.rom` or `board.write-protected` for what the ROM can't do.
---@param board table
---@param plan table
---@param blind? boolean the option bytes are not read
function M.look(board, plan, blind)
  local touched = {}
  for _, sector in ipairs(plan.sectors) do
    if sector.state ~= "same" then touched[#touched + 1] = sector end
  end
  plan.protected = {}
  local part = class.state(board).part
  if #touched == 0 or not part.options and #part.faults == 0 then return end
  tell_holes(board, touched)
  local values
  if not blind or fault_of(part, "radio") then
    plan.protected, plan.protected_by, values = M.protected(board, touched)
    plan.protection_known = values ~= nil
  end
  check_radio(board, touched, values)
  if not plan.mass then check_second_bank(board, plan.erased) end
end

---Raises `board.write-protected` if a plan has protected sectors.
---@param board table
---@param plan table
function M.check(board, plan)
  if #plan.protected == 0 then return end
  errors.raise { code = "board.write-protected", path = board.path, op = "erase",
    address = plan.protected[1].address, remedy = { "write-protected",
    changes = plan.protected_by.unlock },
    message = ("%s: the option bytes (%s) protect the sectors at %s against writing%s; nothing was "
      .. "erased"):format(board.path, table.concat(plan.protected_by, ", "),
      names_of(plan.protected), plan.protected_by.mark
        and (" (which ones is %s, not proven)"):format(plan.protected_by.mark) or "") }
end

---All sectors of the first memory that can be erased, without those of the radio: what to erase one
---by one where the ROM has no mass erase.
---@param board table
---@return table[]
function M.all_sectors(board)
  local main, list = board.alts[1], {}
  local fault = fault_of(class.state(board).part, "radio")
  local first = fault and (optbytes.values(board) or {})[fault.data.field]
  if fault and not first then check_radio(board, {}, nil) end
  local stop = first and FLASH + first * fault.data.size
  for sector in memory.sectors(main.layout.segments) do
    if sector.erasable and not (stop and sector.address >= stop) then
      sector.alt, sector.last = main.number, sector.address + sector.size - 1
      list[#list + 1] = sector
    end
  end
  return list
end

---Raises for sectors that flash.erase can't erase.
---@param board table
---@param sectors table[]
function M.check_erase(board, sectors)
  local plan = { sectors = sectors, erased = sectors }
  M.look(board, plan)
  M.check(board, plan)
end

-- ---- erasing ----

-- The longest time that erasing a sector takes, by the data sheets, in seconds.
local function longest(part, size)
  local most = 0
  for _, family in ipairs(part.families) do
    local ms = family.erase_max_ms
    if type(ms) == "table" then ms = ms[size] end
    most = math.max(most, ms or 0)
  end
  return most / 1e3
end

local CLRSTATUS = 4

-- Brings a board out of dfuDNBUSY, in which it stays although the erase is done: CLRSTATUS leads to
-- dfuERROR, and a second one to dfuIDLE (betaflight-configurator 1861). Raises `err`, unless the
-- sector is blank then.
local function free(board, sector, err)
  for _ = 1, 2 do board:control(0x21, CLRSTATUS, 0, 0, "") end
  local part = class.state(board).part
  local found = setting.read(board, sector.alt, sector.address, sector.size)
  if not part_of.is_blank(part, found) then error(err, 0) end
  local history, last = class.state(board).history, sector.address + sector.size - 1
  history:mark("erased", sector.address, last, sector.alt)
  history:mark("blank", sector.address, last, sector.alt)
end

---Erases a sector, in the way that the ROM's faults demand.
---@param board table
---@param sector table
function M.erase(board, sector)
  local began = task.now()
  local main = board.alts[1]
  local part = class.state(board).part
  if sector.alt ~= main.number or not part or #part.faults == 0
    or sector.address < second_bank(board) then
    return setting.erase(board, sector.alt, sector.address)
  end
  local stays, early = fault_of(part, "bank2-stays-busy"), M.fault(board, "bank2-erase-early")
  local limit = longest(part, sector.size)
  local _, err = errors.catch("timeout", setting.erase, board, sector.alt, sector.address,
    stays and limit > 0 and limit or nil)
  if err and not stays then error(err, 0) end
  local rest = began + limit - task.now()
  if (err or early) and rest > 0 then task.sleep(rest) end
  if err then free(board, sector, err) end
end

return M

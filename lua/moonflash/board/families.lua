-- SPDX-License-Identifier: MIT
-- The families of chips, as data: loads the files in families/, and finds those that a board can
-- be of, by its USB ids and the strings of its alternate settings.
local memory = require "moonflash.memory"
local shape = require "moonflash.board.family_shape"
local suggest = require "moonflash.base.suggest"
local sys = require "moonflash.system"

local M = {}

local FOLDER = "lua/moonflash/board/families/"

local loaded

---All families, sorted by name.
---@return table[]
function M.all()
  if loaded then return loaded end
  local list = {}
  for _, file in ipairs(sys.builtins(FOLDER)) do
    local make = assert(load(sys.builtin(file), "=" .. file, "t",
      { ipairs = ipairs, table = table }))
    for _, raw in ipairs(make()) do list[#list + 1] = shape.take(file, raw) end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  loaded = list
  return list
end

-- A name without punctuation, and without the maker's part: "stm32f405/407" is "f405407".
local function plain(name)
  local letters = name:lower():gsub("[^%w]", "")
  local maker = letters:match("^%a+32") or ""
  return letters:sub(#maker + 1), maker
end

-- Whether a name is a chip of a family, or begins one.
local function is_in(family, wanted, maker)
  local own, own_maker = plain(family.name)
  if maker ~= "" and maker ~= own_maker then return false end
  if own:sub(1, #wanted) == wanted then return true end
  for word in family.covers:gmatch("%w+") do -- "f407" is in "f407vg", and begins with "f4"
    local chip = plain(word)
    if #chip > 2 and (chip:sub(1, #wanted) == wanted or wanted:sub(1, #chip) == chip) then
      return true
    end
  end
  return false
end

---The families that a name stands for: a family's name, a chip, or the beginning of one of these.
---@param name string
---@return table[] families
---@return string? hint " (did you mean 'x'?)" if there is none
function M.named(name)
  local wanted, maker = plain(name)
  local list, names = {}, {}
  for _, family in ipairs(M.all()) do
    names[#names + 1] = family.name
    local own, own_maker = plain(family.name)
    if own == wanted and (maker == "" or maker == own_maker) then return { family } end
    if wanted .. maker ~= "" and is_in(family, wanted, maker) then list[#list + 1] = family end
  end
  return list, #list == 0 and suggest.hint(name, names) or nil
end

-- ---- recognising a board ----

-- The runs of sectors of a memory as text, without access rights: "8000000:4x16384,1x65536".
local function runs_of(segments)
  local runs = {}
  for _, s in ipairs(segments) do
    local last = runs[#runs]
    if last and last.size == s.size and last.stop == s.address then
      last.count, last.stop = last.count + s.count, last.stop + s.count * s.size
    else
      runs[#runs + 1] = { size = s.size, count = s.count, address = s.address,
                          stop = s.address + s.count * s.size }
    end
  end
  return runs
end

local function same_runs(a, b, but_last)
  if #a ~= #b or #a == 0 or a[1].address ~= b[1].address then return false end
  for i = 1, #a do
    if a[i].size ~= b[i].size then return false end
    if a[i].count ~= b[i].count and not (but_last and i == #a) then return false end
  end
  return true
end

local function has_ids(family, info)
  for _, ids in ipairs(family.ids) do
    if ids[1] == info.vid and ids[2] == info.pid then return true end
  end
  return false
end

local function has(list, value)
  for _, item in ipairs(list or {}) do
    if item == value then return true end
  end
  return false
end

-- Whether the strings of a board equal those of a row, letter by letter.
local function equals(info, rom)
  if rom.version and info.version ~= rom.version or rom.product and info.product ~= rom.product
    or #info.alts ~= #rom then
    return false
  end
  for i, alt in ipairs(info.alts) do
    if alt.name ~= rom[i] then return false end
  end
  return true
end

local function options_of(info)
  for _, alt in ipairs(info.alts) do
    if memory.is_option_bytes(alt.layout) and alt.layout.segments[1] then
      return alt.layout.segments
    end
  end
end

-- Whether the board announces option bytes elsewhere than this family has them.
local function contradicts(family, info)
  local segments = options_of(info)
  local block = family.options and family.options[1]
  return segments ~= nil and (not block or block.address ~= segments[1].address)
end

-- Whether the board's option bytes have as many blocks as those of a family, and as long ones.
local function same_length(family, info)
  local segments, options = options_of(info), family.options
  if not segments then return true end
  if not options or #options ~= #segments then return false end
  for i, block in ipairs(options) do
    if block.length and block.length ~= segments[i].count * segments[i].size then return false end
  end
  return true
end

-- Those of a list for which f is true; all of them, if it is true for none.
local function narrowed(list, f)
  local some = {}
  for _, item in ipairs(list) do
    if f(item) then some[#some + 1] = item end
  end
  return #some > 0 and some or list
end

local function by_layout(info, but_last)
  local main = info.alts[1]
  local runs, list = runs_of(main and main.layout.segments or {}), {}
  for _, family in ipairs(M.all()) do
    local fits = false
    for _, layout in ipairs(family.layouts) do
      fits = fits or same_runs(runs_of(layout), runs, but_last)
    end
    if fits and has_ids(family, info) and not contradicts(family, info) then
      list[#list + 1] = family
    end
  end
  list = narrowed(list, function(family) return same_length(family, info) end)
  return narrowed(list, function(family) return has(family.versions, info.version) end)
end

---@class moonflash.Match
---@field families table[] those that the board can be of, in the order of their names
---@field rom? table the row of strings that the board's equal, which were seen on a chip
---@field row? table the row of strings that the board's equal, seen or inferred
---@field exact boolean the sectors of the flash are those of a chip in these families

local function by_strings(info)
  local list, row, rom = {}, nil, nil
  for _, family in ipairs(M.all()) do
    for _, candidate in ipairs(has_ids(family, info) and family.roms or {}) do
      if equals(info, candidate) then
        if list[#list] ~= family then list[#list + 1] = family end
        row, rom = row or candidate, rom or candidate.seen and candidate
      end
    end
  end
  return list, rom or row, rom
end

---The families that a board can be of.
---@param info table in the format of dfu.list()
---@return moonflash.Match
function M.match(info)
  local list, row, rom = by_strings(info)
  if row then return { families = list, row = row, rom = rom or nil, exact = true } end
  list = by_layout(info, false)
  if #list > 0 then return { families = list, exact = true } end
  return { families = by_layout(info, true), exact = false }
end

return M

-- SPDX-License-Identifier: MIT
-- Completion at the prompt. Looks values up without calling anything.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local keywords = require "moonflash.base.keywords"
local sys = require "sys"
local tokens = require "moonflash.prompt.tokens"
local values = require "moonflash.prompt.values"

local M = {}

local MOST = 200 -- candidates that are shown

-- ---- values ----

-- The field of a value, if a lookup without a call finds it.
local function field(value, key)
  if type(value) == "table" then
    local found = rawget(value, key)
    local meta = debug.getmetatable(value)
    local index = found == nil and type(meta) == "table" and rawget(meta, "__index")
    return type(index) == "table" and rawget(index, key) or found
  elseif values.is_board(value) then
    return dfu.fields(value)[key] or (values.methods(value) or {})[key]
  end
  return (values.methods(value) or {})[key]
end

-- The value of a name: a local of the session, a global, or a module of the library.
local function named(session, name)
  local known, value = session.scope:value(name)
  if known then return value end
  value = rawget(session.env, name)
  if value ~= nil then return value end
  if session.library[name] then return require(session.library[name]) end
  return rawget(_G, name)
end

-- The path before the cursor, parsed backwards: names with "." or ":" between, and [1] or ["x"].
-- Nil for any other expression, a call for example.
local function path_to(list)
  local path, i = {}, #list
  while true do
    local token = list[i]
    if token and token.text == "]" and list[i - 2] and list[i - 2].text == "[" then
      local key = list[i - 1]
      table.insert(path, 1, key.kind == "string" and key.text:sub(2, -2)
        or math.tointeger(tonumber(key.text)) or false)
      i = i - 3
    elseif token and token.kind == "name" then
      table.insert(path, 1, token.text)
      local before = list[i - 1]
      if not before or before.text ~= "." and before.text ~= ":" then return path end
      i = i - 2
    else
      return nil
    end
  end
end

local function value_at(session, list)
  local path = path_to(list)
  local value
  for i, key in ipairs(path or {}) do
    if i == 1 then value = named(session, key) else value = field(value, key) end
    if value == nil then return nil end
  end
  return value
end

-- ---- candidates ----

local function add_keys(found, t, only_functions)
  for key, value in next, t or {} do
    if type(key) == "string" and key:find("^[%a_][%w_]*$")
      and (not only_functions or type(value) == "function") then
      found[key] = true
    end
  end
end

local function fields_of(value, methods_only)
  local found = {}
  if type(value) == "table" then
    add_keys(found, value, methods_only)
    local meta = debug.getmetatable(value)
    local index = type(meta) == "table" and rawget(meta, "__index")
    if type(index) == "table" then add_keys(found, index, methods_only) end
  elseif value ~= nil then
    local methods = values.methods(value)
    add_keys(found, methods, methods_only)
    if values.is_board(value) and not methods_only then
      for _, name in ipairs(dfu.names) do
        if not methods[name] then found[name] = true end
      end
    end
  end
  return found
end

local function globals(session)
  local found = {}
  for word in pairs(keywords) do found[word] = true end
  add_keys(found, _G)
  add_keys(found, session.env)
  add_keys(found, session.library)
  add_keys(found, session.scope.known)
  for name in pairs(found) do
    if name:find("^__") then found[name] = nil end
  end
  return found
end

-- The names of the alternate settings of the session's board.
local function alts_of(session)
  local found, board = {}, values.board_of(session)
  for _, alt in ipairs(board and board.alts or {}) do
    if alt.layout.name ~= "" then found[alt.layout.name] = true end
  end
  return found
end

local function files(start)
  local folder, found = start:match("^(.*/)") or "", {}
  local hidden = start:sub(#folder + 1, #folder + 1) == "."
  for _, name in ipairs(sys.readdir(folder == "" and "." or folder) or {}) do
    if hidden or name:sub(1, 1) ~= "." then
      local stat = sys.stat(folder .. name)
      found[folder .. name .. (stat and stat.type == "directory" and "/" or "")] = true
    end
  end
  return found
end

local function codes()
  local found = {}
  for code in pairs(errors.codes) do found[code] = true end
  for _, code in ipairs(errors.children) do found[code] = true end
  return found
end

-- The names that help() knows: modules, their functions, methods of a Board, and error codes.
local function topics(session)
  local found = codes()
  for name, path in pairs(session.library) do
    found[name] = true
    for key, value in next, require(path) do
      if type(value) == "function" then found[name .. "." .. tostring(key)] = true end
    end
  end
  for name in pairs(values.methods_of("dfu.Board") or {}) do found["board:" .. name] = true end
  return found
end

-- What can begin a selector: the boards on the bus by path and serial number, and kinds of items.
local function boards_on_the_bus()
  local found = { ["serial="] = true, ["mode=runtime"] = true, ["alt="] = true,
                  ["sim:f407"] = true }
  local ok, list = pcall(dfu.list)
  for _, info in ipairs(ok and list or {}) do
    found[info.path] = true
    if info.serial then found["serial=" .. info.serial] = true end
  end
  return found
end

-- Functions whose first argument is a string of a kind, at the end of the line before it.
local STRINGS = {
  { "help%s*%(?%s*$", topics }, { "catch%s*%(%s*$", codes },
  { "dfu%.%a+%s*%(?%s*$", boards_on_the_bus },
}

-- ---- completing ----

local function starting_with(found, start)
  local list = {}
  for name in pairs(found) do
    if name:sub(1, #start) == start then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

local function common_start(list)
  local start = list[1]
  for _, name in ipairs(list) do
    while name:sub(1, #start) ~= start do start = start:sub(1, -2) end
  end
  return start
end

-- The candidates at the cursor, and the part of them that was typed.
local function candidates(session, before)
  local list = tokens.of(before)
  local last = list[#list]
  if last and last.open then
    if last.kind ~= "string" then return {}, "" end
    local start = before:sub(last.first + 1)
    local context = before:sub(1, last.first - 1)
    if context:find(":%s*select%s*%(?%s*$") then return alts_of(session), start end
    local item, alt = start:match("^(.*alt=)([^,]*)$")
    if item then return alts_of(session), alt end
    local quote = before:sub(last.first, last.first)
    for _, kind in ipairs(STRINGS) do
      if context:find(kind[1]) then return kind[2](session), start, quote end
    end
    return files(start), start, quote
  end
  local start = ""
  if last and last.kind == "name" and last.last == #before then
    start = table.remove(list).text
    last = list[#list]
  end
  if last and (last.text == "." or last.text == ":") then
    table.remove(list)
    return fields_of(value_at(session, list), last.text == ":"), start
  end
  if start == "" then return {}, "" end
  return globals(session), start
end

-- Formats names in columns, for the width of the terminal.
local function in_columns(list)
  local width = 0
  for i, name in ipairs(list) do
    list[i] = name:match("[^/]+/?$") or name
    width = math.max(width, #list[i] + 2)
  end
  local columns = math.max(1, sys.terminal_size() // width)
  local rows = (#list + columns - 1) // columns
  local lines = {}
  for row = 1, rows do
    local cells = {}
    for i = row, #list, rows do cells[#cells + 1] = list[i] .. (" "):rep(width - #list[i]) end
    lines[row] = table.concat(cells):gsub(" +$", "")
  end
  return table.concat(lines, "\n")
end

---@param session table env, scope, library
---@param before string the line up to the cursor
---@return string? insert the text to insert
---@return string? show the candidates to print
function M.complete(session, before)
  local found, start, quote = candidates(session, before)
  local list = starting_with(found, start)
  if #list == 0 then return nil end
  local common = common_start(list)
  if #list == 1 and quote and quote:find("^[\"']$") and not common:find("[/=]$") then
    return common:sub(#start + 1) .. quote -- the string is whole
  end
  if #list == 1 or #common > #start then return common:sub(#start + 1) end
  local more = #list - MOST
  if more > 0 then list = table.move(list, 1, MOST, 1, {}) end
  return nil, in_columns(list) .. (more > 0 and ("\nand %d more"):format(more) or "")
end

return M

-- SPDX-License-Identifier: MIT
-- Locals of one statement that remain visible in the next ones.
--
-- Each statement is a function of its own. At its end it hands over the locals that it declares at
-- its top level, in a closure. In a later statement that names one of them, the local is an
-- upvalue, joined with that closure's. So it is the same variable: functions of an earlier
-- statement see an assignment to it. A `local` of the same name declares a new variable, which they
-- don't see. A statement that fails hands over nothing.
--
-- Such a local's scope ends with the session, so <close> variables are closed then.
local tokens = require "moonflash.prompt.tokens"

local KEEP = "__moonflash_keep" -- the function that a statement calls at its end

local M = {}
M.__index = M

function M.new()
  return setmetatable({ known = {}, closing = {} }, M)
end

local OPENS = { ["function"] = true, ["do"] = true, ["if"] = true, ["repeat"] = true }
local CLOSES = { ["end"] = true, ["until"] = true }

-- Appends the names behind the `local` at list[i] to `found`.
local function take_names(list, i, found)
  local function text(at) return list[at] and list[at].text end
  if text(i + 1) == "function" then
    found[#found + 1] = { name = text(i + 2) }
    return
  end
  repeat
    i = i + 1
    local item = { name = text(i) }
    found[#found + 1] = item
    if text(i + 1) == "<" then
      item.const, item.closes, item.attribute = true, text(i + 2) == "close", list[i + 2]
      i = i + 3
    end
    i = i + 1
  until text(i) ~= ","
end

-- The locals that a statement declares at its top level, and the position of its `return` or its
-- end.
local function declarations(source, list)
  local found, depth = {}, 0
  for i, token in ipairs(list) do
    if token.kind == "name" then
      if OPENS[token.text] then
        depth = depth + 1
      elseif CLOSES[token.text] then
        depth = depth - 1
      elseif depth == 0 and token.text == "local" then
        take_names(list, i, found)
      elseif depth == 0 and token.text == "return" then
        return found, token.first
      end
    end
  end
  return found, #source + 1
end

-- The last declaration of each name: earlier ones are not visible at the end of the statement.
local function visible(found)
  local by_name, names = {}, {}
  for _, item in ipairs(found) do
    if not by_name[item.name] then names[#names + 1] = item.name end
    by_name[item.name] = item
  end
  return by_name, names
end

-- The source with a call at its end that hands over its locals. <close> becomes <const>, which has
-- the same length.
local function handing_over(source, found, at)
  for _, item in ipairs(found) do
    if item.closes then
      source = source:sub(1, item.attribute.first - 1) .. "const"
        .. source:sub(item.attribute.last + 1)
    end
  end
  local _, names = visible(found)
  if #names == 0 then return source end
  return ("%s%s%s(function() return %s end) %s"):format(source:sub(1, at - 1),
    at > #source and "\n;" or " ;", KEEP, table.concat(names, ", "), source:sub(at))
end

-- The known names that a statement may use.
function M:meant(list)
  local seen, names = {}, {}
  local function add(name)
    if self.known[name] and not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  add("_ENV") -- every global uses it
  for _, token in ipairs(list) do
    if token.kind == "name" then add(token.text) end
  end
  return names
end

local function is_closable(value)
  local meta = debug.getmetatable(value)
  return not value or type(meta) == "table" and rawget(meta, "__close") ~= nil
end

-- Keeps the locals of a statement; handed_over is the closure that has them.
function M:keep(found, handed_over)
  local by_name, names = visible(found)
  local values = table.pack(handed_over())
  for i, name in ipairs(names) do
    local item, value = by_name[name], values[i]
    if item.closes and not is_closable(value) then
      error(("variable '%s' got a non-closable value"):format(name), 0)
    end
    -- a compile-time constant has no upvalue
    local variable = { holder = function() return value end, index = 1, const = item.const }
    local index = 1
    while debug.getupvalue(handed_over, index) do
      if debug.getupvalue(handed_over, index) == name then
        variable.holder, variable.index = handed_over, index
      end
      index = index + 1
    end
    self.known[name] = variable
    if item.closes and value then table.insert(self.closing, value) end
  end
end

---Compiles a statement that load() has accepted.
---@param source string
---@param chunk string its name
---@param env table
---@return function? line
---@return string? why
function M:compile(source, chunk, env)
  local list = {}
  for _, token in ipairs(tokens.of(source)) do
    if token.kind ~= "comment" then list[#list + 1] = token end
  end
  local found, at = declarations(source, list)
  local head = {}
  for i, name in ipairs(self:meant(list)) do
    head[i] = name .. (self.known[name].const and " <const>" or "")
  end
  head[#head + 1] = KEEP
  -- on one line, so that line numbers in messages are right
  local maker, why = load(("local %s; return function(...) %s\nend"):format(
    table.concat(head, ", "), handing_over(source, found, at)), chunk, "t", env)
  if not maker then return nil, why end
  local line, index = maker(), 1
  while debug.getupvalue(line, index) do
    local name = debug.getupvalue(line, index)
    local variable = self.known[name]
    if name == KEEP then
      debug.setupvalue(line, index, function(handed_over) self:keep(found, handed_over) end)
    elseif variable then
      debug.upvaluejoin(line, index, variable.holder, variable.index)
    end
    index = index + 1
  end
  return line
end

---The value of a local; false if it does not exist.
---@param name string
---@return boolean known
---@return any value
function M:value(name)
  local variable = self.known[name]
  if not variable then return false end
  return true, (select(2, debug.getupvalue(variable.holder, variable.index)))
end

---Closes the <close> variables, the last first. Raises the last error.
function M:close()
  local failed, err = false, nil
  while #self.closing > 0 do
    local value = table.remove(self.closing)
    local ok, why = pcall(debug.getmetatable(value).__close, value, nil)
    if not ok then failed, err = true, why end
  end
  if failed then error(err, 0) end
end

return M

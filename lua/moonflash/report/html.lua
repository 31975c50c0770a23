-- SPDX-License-Identifier: MIT
-- HTML elements. All text is escaped: strings from boards and files are not trusted.
local clean = require("moonflash.board.descriptor").clean

local M = {}

local Markup = {} -- the metatable of finished HTML

local VOID = { meta = true, br = true }
local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;",
                   ["'"] = "&#39;" }

---Text for an element or a quoted attribute. Invalid UTF-8, control characters and marks that
---change the direction of writing become "?"; newlines stay.
---@param value any
---@return string
function M.escape(value)
  local lines = {}
  for line in (tostring(value) .. "\n"):gmatch("([^\n]*)\n") do lines[#lines + 1] = clean(line) end
  return (table.concat(lines, "\n"):gsub("[&<>\"']", ENTITIES))
end

local function append(parts, child)
  if not child then return end
  if getmetatable(child) == Markup then
    table.move(child, 1, #child, #parts + 1, parts)
  elseif type(child) == "table" then
    for _, item in ipairs(child) do append(parts, item) end
  else
    parts[#parts + 1] = M.escape(child)
  end
end

local function attribute_text(attributes)
  local names = {}
  for name, value in pairs(attributes or {}) do
    if value then names[#names + 1] = name end
  end
  table.sort(names)
  for i, name in ipairs(names) do
    local value = attributes[name]
    if math.type(value) == "float" then value = ("%.2f"):format(value):gsub("%.?0+$", "") end
    names[i] = value == true and " " .. name or (' %s="%s"'):format(name, M.escape(value))
  end
  return table.concat(names)
end

---An element. Children are text, elements, lists of both, or false, which adds nothing.
---@param name string
---@param attributes? table
---@return table
function M.element(name, attributes, ...)
  local parts = { "<" .. name .. attribute_text(attributes) .. ">" }
  if VOID[name] then return setmetatable(parts, Markup) end
  local children = table.pack(...)
  for i = 1, children.n do append(parts, children[i]) end
  parts[#parts + 1] = "</" .. name .. ">"
  return setmetatable(parts, Markup)
end

---@param markup table
---@return string
function M.text(markup)
  return table.concat(markup)
end

return M

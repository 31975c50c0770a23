-- SPDX-License-Identifier: MIT
-- Splits Lua source into tokens, as far as the prompt needs it: names, strings and comments.
-- Accepts any text; load() checks the syntax.
local M = {}

-- The last character of the long string that begins at `at`, and whether its end is missing; nil if
-- none begins there.
local function long_bracket(source, at)
  local level = source:match("^%[(=*)%[", at)
  if not level then return nil end
  local _, stop = source:find("]" .. level .. "]", at, true)
  return stop or #source, stop == nil
end

local function short_string(source, at)
  local quote, i = source:sub(at, at), at + 1
  while i <= #source do
    local c = source:sub(i, i)
    if c == quote then return i, false end
    if c == "\n" then return i - 1, true end
    i = i + (c == "\\" and 2 or 1)
  end
  return #source, true
end

-- The kind of the token at `at`, its last character, and whether its end is missing.
local function token(source, at)
  if source:find("^%-%-", at) then
    local stop, open = long_bracket(source, at + 2)
    if stop then return "comment", stop, open end
    return "comment", (source:find("\n", at, true) or #source + 1) - 1
  end
  local stop, open = long_bracket(source, at)
  if stop then return "string", stop, open end
  if source:find("^[\"']", at) then
    return "string", short_string(source, at)
  end
  stop = select(2, source:find("^[%a_][%w_]*", at))
  if stop then return "name", stop end
  stop = select(2, source:find("^%.?%d[%w_.]*", at))
  if stop then return "number", stop end
  return "symbol", select(2, source:find("^%.%.%.?", at)) or select(2, source:find("^::", at)) or at
end

---@param source string
---@return table[] { { kind=, text=, first=, last=, open= }, ... }; kind: "name" (including
---  keywords), "string", "number", "comment", "symbol"; open: the end of the token is missing
function M.of(source)
  local list, at = {}, source:find("%S")
  while at do
    local kind, last, open = token(source, at)
    list[#list + 1] = { kind = kind, text = source:sub(at, last), first = at, last = last,
                        open = open or nil }
    at = source:find("%S", last + 1)
  end
  return list
end

return M

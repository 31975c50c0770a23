-- SPDX-License-Identifier: MIT
-- Reads options as getopt_long of the GNU C library does: values glued to a letter or after "=",
-- several letters in one word, unique beginnings of long names, options and other words in any
-- order, "--" before words only.
local M = {}

-- The row that a long name means; nil and the reason. Rows with one letter are the same option.
local function find_long(rows, name)
  local found, letters = nil, {}
  for _, row in ipairs(rows) do
    if row.long == name then return row end
    if row.long and row.long:sub(1, #name) == name then
      found = found or row
      if not letters[row.letter] then
        letters[row.letter], letters[#letters + 1] = true, row.long
      end
    end
  end
  if not found then return nil, ("there is no option '--%s'"):format(name) end
  if #letters > 1 then
    return nil, ("the option '--%s' is ambiguous: --%s"):format(name,
      table.concat(letters, ", --"))
  end
  return found
end

local function find_letter(rows, letter)
  for _, row in ipairs(rows) do
    if row.letter == letter then return row end
  end
  return nil, ("there is no option '-%s'"):format(letter)
end

---@param rows table[] { { letter=, long=, takes= "value", "maybe" (only after "="), or nil }, ... }
---@param argv string[]
---@return table[]? options { { letter=, value= }, ... } in the order of argv; nil: they are wrong
---@return string[]|string rest the other words; or the reason
---@return table[]? before the options before a wrong one
function M.read(rows, argv)
  local options, rest, i = {}, {}, 1
  local function add(row, value) options[#options + 1] = { letter = row.letter, value = value } end
  -- A word of letters: "-R", "-a0", "-vD".
  local function read_letters(word)
    local at = 2
    while at <= #word do
      local row, why = find_letter(rows, word:sub(at, at))
      if not row then return why end
      if row.takes ~= "value" then
        add(row)
        at = at + 1
      else
        local value = word:sub(at + 1)
        if value == "" then
          i = i + 1
          value = argv[i]
        end
        if not value then return ("the option '-%s' needs a value"):format(row.letter) end
        add(row, value)
        return nil
      end
    end
  end
  local function read_long(word)
    local name, value = word:match("^%-%-([^=]*)=(.*)$")
    local row, why = find_long(rows, name or word:sub(3))
    if not row then return why end
    if value and not row.takes then
      return ("the option '--%s' has no value"):format(row.long)
    elseif row.takes == "value" and not value then
      i = i + 1
      value = argv[i]
      if not value then return ("the option '--%s' needs a value"):format(row.long) end
    end
    add(row, value)
  end
  while i <= #argv do
    local word, why = argv[i], nil
    if word == "--" then
      table.move(argv, i + 1, #argv, #rest + 1, rest)
      break
    elseif word:find("^%-%-") then
      why = read_long(word)
    elseif word:find("^%-.") then
      why = read_letters(word)
    else
      rest[#rest + 1] = word
    end
    if why then return nil, why, options end
    i = i + 1
  end
  return options, rest
end

return M

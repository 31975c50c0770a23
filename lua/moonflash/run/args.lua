-- SPDX-License-Identifier: MIT
-- Makes a parser (lua-argparse) from a recipe's list of arguments, and a table of options from
-- argv. The table raises for unknown names.
local check = require "moonflash.base.check"
local errors = require "moonflash.errors"
local suggest = require "moonflash.base.suggest"
local text = require "moonflash.base.text"
local typed = require "moonflash.image.typed"

local M = {}

-- ---- types ----

local types = {
  address = function(s) return text.parse_integer(s, 0xFFFFFFFF) end,
  integer = function(s) return text.parse_integer(s, math.maxinteger) end,
  seconds = function(s)
    local n = s:find("^[%d.]+$") and tonumber(s)
    if not n or n > 1e9 then return nil, ("'%s' is not a number of seconds"):format(s) end
    return n
  end,
  string = function(s) return s end,
  file = function(s) return s end,
  words = function(s) return s end, -- a list of words
  tty = function(s) return s end,   -- a serial port, which may be left out: ""
}

local type_names = suggest.keys(types)

local function type_of_default(default)
  if type(default) == "boolean" then return "flag" end
  if math.type(default) == "integer" then return "integer" end
  if type(default) == "number" then return "seconds" end
  if type(default) == "table" then return "words" end
  return "string"
end

local FIELDS = { "default", "type", "required", "choices", "min", "max" }

-- Whether a value can be one of an argument of that kind.
local function has_kind(kind, value)
  if kind == "flag" then return type(value) == "boolean" end
  if kind == "integer" then return math.type(value) == "integer" end
  if kind == "address" then return math.type(value) == "integer" and value & ~0xFFFFFFFF == 0 end
  if kind == "seconds" then return type(value) == "number" and value >= 0 end
  if kind == "words" then return type(value) == "table" end
  return type(value) == "string"
end

local NUMBERS = { integer = true, address = true, seconds = true }

-- Why a value is not allowed: its choices, its range; nil where it is.
local function why_not(arg, value)
  if value == nil then return nil end
  for _, choice in ipairs(arg.choices or { value }) do
    if choice == value then break end
    if choice == arg.choices[#arg.choices] then
      return ("'%s' is not one of %s%s"):format(tostring(value), table.concat(arg.choices, ", "),
        suggest.hint(value, arg.choices))
    end
  end
  if arg.min and value < arg.min or arg.max and value > arg.max then
    return ("%s is not %s"):format(tostring(value), not arg.max and arg.min .. " or more"
      or not arg.min and arg.max .. " or less" or arg.min .. " to " .. arg.max)
  end
end

-- Raises if the rules of an argument contradict each other.
local function check_rules(name, item, kind)
  local function bad(format, ...)
    error(("argument '%s': "):format(name) .. format:format(...), 0)
  end
  if item.required ~= nil and type(item.required) ~= "boolean" then bad("required is true") end
  if item.required and item.default ~= nil then bad("it is required, and has a default") end
  if item.required and kind == "flag" then bad("a flag can't be required") end
  if item.choices ~= nil and (type(item.choices) ~= "table" or #item.choices == 0) then
    bad("choices is a list")
  end
  for _, choice in ipairs(item.choices or {}) do
    if not has_kind(kind, choice) then bad("the choice '%s' is no %s", tostring(choice), kind) end
  end
  for _, bound in ipairs { "min", "max" } do
    if item[bound] ~= nil and (type(item[bound]) ~= "number" or not NUMBERS[kind]) then
      bad("%s is a number, for arguments that are numbers", bound)
    end
  end
  if item.default ~= nil and not has_kind(kind, item.default) then
    bad("its default, %s, is no %s", tostring(item.default), kind)
  end
  local why = kind ~= "words" and why_not(item, item.default)
  if why then bad("its default %s", why) end
end

---Checks a recipe's list of arguments. Returns a list with the type and field of each.
---@param list table[] { { name, description, default=, type=, required=, choices=, min=, max= },
---  ... }
---@param taken table<string, boolean> names that recipes may not use
---@return table[] { { name=, field=, description=, default=, type=, dashed=, required=, choices=,
---  min=, max= }, ... }
function M.check(list, taken)
  local args = {}
  local seen = {}
  for i, item in ipairs(list) do
    local name = type(item) == "table" and item[1]
    if type(name) ~= "string" or not name:find("^%-?%-?%a[%w-]*$") then
      error(("argument %d has no name; an argument is { \"file\", \"what it is\" } or "
        .. "{ \"--name\", \"what it is\", default = ... }"):format(i), 0)
    end
    for _, key in ipairs(suggest.keys(item)) do
      if not M.is_field(key) then
        error(("argument '%s' has an unknown field '%s'%s"):format(name, key,
          suggest.hint(key, FIELDS)), 0)
      end
    end
    local kind = item.type or item.default == nil and item.choices
      and type_of_default(item.choices[1]) or type_of_default(item.default)
    if kind ~= "flag" and not types[kind] then
      error(("argument '%s' has an unknown type '%s'%s; there are %s"):format(name, tostring(kind),
        suggest.hint(kind, type_names), table.concat(type_names, ", ")), 0)
    end
    if kind == "words" and name:find("^%-") then
      error(("argument '%s': an option takes one word, not a list"):format(name), 0)
    end
    check_rules(name, item, kind)
    local field = text.field_name(name)
    if taken[name] or seen[field] then
      error(("argument '%s' is %s"):format(name,
        taken[name] and "moonflash's own, and can't be declared again" or "declared twice"), 0)
    end
    seen[field] = true
    args[i] = { name = name, field = field, description = item[2] or "", default = item.default,
                type = kind, dashed = name:find("^%-") ~= nil, required = item.required or false,
                choices = item.choices, min = item.min, max = item.max }
  end
  return args
end

---Whether an argument can have a field of that name.
---@param key string
---@return boolean
function M.is_field(key)
  for _, field in ipairs(FIELDS) do
    if key == field then return true end
  end
  return false
end

-- ---- the parser ----

local function shown_default(arg)
  if arg.default == nil or arg.default == "" or arg.type == "flag"
    or arg.type == "words" and #arg.default == 0 then
    return ""
  end
  local shown = arg.type == "address" and text.hex(arg.default)
    or arg.type == "words" and table.concat(arg.default, " ") or tostring(arg.default)
  return (" (default: %s)"):format(shown)
end

-- What the help says of the rules of an argument.
local function shown_rules(arg)
  local parts = {}
  if arg.required then parts[1] = "required" end
  if arg.choices then parts[#parts + 1] = table.concat(arg.choices, ", ") end
  if arg.min or arg.max then
    parts[#parts + 1] = ("%s..%s"):format(arg.min or "", arg.max or "")
  end
  return #parts > 0 and (" (%s)"):format(table.concat(parts, "; ")) or ""
end

---What the help says of an argument: what it is, its rules, its default.
---@param arg table from M.check
---@return string
function M.description(arg)
  return arg.description .. shown_rules(arg) .. shown_default(arg)
end

local function add(parser, arg)
  local description = M.description(arg)
  local function convert(word)
    local value, why = types[arg.type](word)
    if value == nil then return nil, ("%s: %s"):format(arg.name, why) end
    return value
  end
  if arg.type == "flag" then
    return parser:flag(arg.name, description)
  elseif arg.dashed then
    local option = parser:option(arg.name, description):convert(convert)
    if arg.also then option:hidden_name(arg.also) end
    if arg.count then option:count(arg.count) end
    return option:argname("<" .. (arg.argname or arg.type) .. ">")
  end
  local argument = parser:argument(arg.name, description):convert(convert)
  if arg.type == "words" then
    argument:args(arg.default ~= nil and "*" or "+")
  elseif arg.default ~= nil then
    argument:args("?")
  end
  return argument
end

---A parser for a recipe and for moonflash's own options.
---@param name string the command: "moonflash flash"
---@param description string
---@param args table[] from M.check
---@param globals table[] moonflash's own, in the same format
---@return table parser
function M.parser(name, description, args, globals)
  local parser = require("argparse")(name, description):add_help(false):help_max_width(80)
  local own = {}
  for _, arg in ipairs(args) do own[#own + 1] = add(parser, arg) end
  for _, arg in ipairs(globals) do add(parser, arg) end
  if #own > 0 then parser:group("Arguments", table.unpack(own)) end
  return parser
end

-- A table of options that raises for an unknown name.
local function options_table(values, args)
  local names = {}
  for _, arg in ipairs(args) do names[arg.field] = true end
  local function unknown(_, key)
    if names[key] then return nil end
    error(("there is no option '%s'%s"):format(tostring(key),
      suggest.hint(key, suggest.keys(names))), 2)
  end
  return check.note_recipe_options(setmetatable(values, { __index = unknown }))
end

-- Raises `usage` for an argument that is missing or not allowed.
local function check_values(values, args)
  for _, arg in ipairs(args) do
    local value = rawget(values, arg.field)
    local why = why_not(arg, value)
    if value == nil and arg.required then
      errors.raise { code = "usage", message = ("%s is missing%s"):format(arg.name,
        arg.description ~= "" and ": " .. arg.description or "") }
    elseif why then
      errors.raise { code = "usage", message = ("%s: %s"):format(arg.name, why) }
    end
  end
end

---Checks the values, fills in the defaults, and changes `values` to a table of options. Raises
---`usage`.
---@param values table
---@param args table[] from M.check
---@return table options
function M.complete(values, args)
  check_values(values, args)
  for _, arg in ipairs(args) do
    if values[arg.field] == nil then values[arg.field] = arg.default end
  end
  return options_table(values, args)
end

---Remembers the addresses that were typed (image/typed.lua).
---@param values table
---@param args table[] from M.check
function M.note_typed(values, args)
  for _, arg in ipairs(args) do
    local value = rawget(values, arg.field)
    if arg.type == "address" and value ~= nil then typed.add(value) end
  end
end

-- The words with the value of each option of type tty behind a "=": a word that is no path is not
-- its value.
local function with_ports(argv, args)
  local is_tty, words, i = {}, {}, 1
  for _, arg in ipairs(args or {}) do is_tty[arg.name] = arg.type == "tty" end
  while i <= #argv do
    local word = argv[i]
    if is_tty[word] then
      local value = argv[i + 1] and argv[i + 1]:find("^/") and argv[i + 1] or nil
      i = value and i + 1 or i
      word = word .. "=" .. (value or "")
    end
    words[#words + 1], i = word, i + 1
  end
  return words
end

---What to say of an unknown letter; nil where there is nothing. The command line sets it.
---@param option string
---@return string?
function M.explain(option) return option and nil end

---Parses argv. Raises `usage` with the parser's message.
---@param parser table
---@param argv string[]
---@param command string the command, for the hint
---@param args? table[] from M.check
---@return table values
function M.parse(parser, argv, command, args)
  argv = with_ports(argv, args)
  local ok, result = parser:pparse(argv)
  if ok then return result end
  local message, more = result:match("^([^\n]*)\n?(.*)$")
  local letter = message:match("unknown option '(%-[^-])'")
  if letter then more = "" end -- no help for a single letter
  local explained = letter and M.explain(letter)
  if explained then
    errors.raise { code = "usage", message = message, hint = explained .. "." }
  end
  errors.raise { code = "usage", message = message,
    remedy = { "help", command = command, guess = more ~= "" and more or nil } }
end

---Checks the options for a recipe that another recipe uses, and fills in the defaults.
---@param given table<string, any>
---@param args table[] from M.check
---@param name string
---@return table options
function M.given(given, args, name)
  local values, names = {}, {}
  for _, arg in ipairs(args) do names[arg.field] = true end
  for key, value in pairs(given) do
    if not names[key] then
      error(("recipe '%s' has no option '%s'%s"):format(name, tostring(key),
        suggest.hint(key, suggest.keys(names))), 3)
    end
    values[key] = value
  end
  for _, arg in ipairs(args) do
    local value = values[arg.field]
    if value ~= nil and arg.type ~= "words" and not has_kind(arg.type, value) then
      error(("recipe '%s': %s is of type %s, not %s"):format(name, arg.field, arg.type,
        type(value)), 3)
    end
  end
  M.note_typed(values, args)
  for _, arg in ipairs(args) do
    if values[arg.field] == nil and arg.default == nil and not arg.dashed then
      error(("recipe '%s' needs '%s'"):format(name, arg.field), 3)
    end
  end
  return M.complete(values, args)
end

return M

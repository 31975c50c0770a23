-- SPDX-License-Identifier: MIT
-- Makes a parser (lua-argparse) from a recipe's list of arguments, and a table of options from
-- argv. The table raises for unknown names.
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

---Checks a recipe's list of arguments. Returns a list with the type and field of each.
---@param list table[] { { name, description, default=, type= }, ... }
---@param taken table<string, boolean> names that recipes may not use
---@return table[] { { name=, field=, description=, default=, type=, dashed= }, ... }
function M.check(list, taken)
  local args = {}
  local seen = {}
  for i, item in ipairs(list) do
    local name = type(item) == "table" and item[1]
    if type(name) ~= "string" or not name:find("^%-?%-?%a[%w-]*$") then
      error(("argument %d has no name; an argument is { \"file\", \"what it is\" } or "
        .. "{ \"--name\", \"what it is\", default = ... }"):format(i), 0)
    end
    for key in pairs(item) do
      if key ~= 1 and key ~= 2 and key ~= "default" and key ~= "type" then
        error(("argument '%s' has an unknown field '%s'%s"):format(name, tostring(key),
          suggest.hint(key, { "default", "type" })), 0)
      end
    end
    local kind = item.type or type_of_default(item.default)
    if kind ~= "flag" and not types[kind] then
      error(("argument '%s' has an unknown type '%s'%s; there are %s"):format(name, tostring(kind),
        suggest.hint(kind, type_names), table.concat(type_names, ", ")), 0)
    end
    if kind == "words" and name:find("^%-") then
      error(("argument '%s': an option takes one word, not a list"):format(name), 0)
    end
    local field = text.field_name(name)
    if taken[name] or seen[field] then
      error(("argument '%s' is %s"):format(name,
        taken[name] and "moonflash's own, and can't be declared again" or "declared twice"), 0)
    end
    seen[field] = true
    args[i] = { name = name, field = field, description = item[2] or "", default = item.default,
                type = kind, dashed = name:find("^%-") ~= nil }
  end
  return args
end

-- ---- the parser ----

local function shown_default(arg)
  if arg.default == nil or arg.type == "flag" or arg.type == "words" and #arg.default == 0 then
    return ""
  end
  local shown = arg.type == "address" and text.hex(arg.default)
    or arg.type == "words" and table.concat(arg.default, " ") or tostring(arg.default)
  return (" (default: %s)"):format(shown)
end

local function add(parser, arg)
  local description = arg.description .. shown_default(arg)
  local convert = types[arg.type]
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
  local own, ours = {}, {}
  for _, arg in ipairs(args) do own[#own + 1] = add(parser, arg) end
  for _, arg in ipairs(globals) do ours[#ours + 1] = add(parser, arg) end
  if #own > 0 then parser:group("Arguments", table.unpack(own)) end
  if #ours > 0 then parser:group("Options of moonflash", table.unpack(ours)) end
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
  return setmetatable(values, { __index = unknown })
end

---Fills in the defaults, and changes `values` to a table of options.
---@param values table
---@param args table[] from M.check
---@return table options
function M.complete(values, args)
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
  if message:find("option '%-[^-]'") then more = "" end -- no help for a single letter
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
  M.note_typed(values, args)
  for _, arg in ipairs(args) do
    if values[arg.field] == nil and arg.default == nil and not arg.dashed then
      error(("recipe '%s' needs '%s'"):format(name, arg.field), 3)
    end
  end
  return M.complete(values, args)
end

return M

-- SPDX-License-Identifier: MIT
-- Definitions for editors (LuaCATS, ---@meta), made from docs/api.md: every function with its
-- arguments and its first sentence. The types of arguments follow from their names, each of which
-- the manual uses in one meaning.
local markdown = require "moonflash.manual.markdown"
local sys = require "sys"

local M = {}

local TYPES = {
  address = "integer", length = "integer", first = "integer", last = "integer", n = "integer",
  number = "integer", byte = "integer", value = "any", request = "integer", index = "integer",
  request_type = "integer", alt = "string|integer", port = "integer", baud = "integer",
  fd = "integer", status = "integer", seconds = "number", data = "string", bytes = "string",
  text = "string", name = "string", path = "string", file = "string", folder = "string",
  spec = "string", tty = "string", message = "string", pattern = "string", format = "string",
  when = "integer|string|table", kind = "string", ["code"] = "string", recipe = "string",
  word = "string", selector = "string|table", options = "table", how = "table", limits = "table",
  fields = "table", changes = "table", segments = "table[]", sectors = "table[]",
  boards = "table", program = "string[]", question = "string|table", board = "Board",
  image = "Image", plan = "table", f = "function", handler = "function", err = "any",
  what = "any", co = "thread", on = "boolean", named = "boolean", all_bytes = "boolean",
  force = "boolean", data_or_length = "string|integer", where = "string|integer",
}

local CLASSES = { board = "Board", sim = "Sim", image = "Image", task = "Task", stream = "Stream",
  semaphore = "Semaphore", permit = "Permit", server = "Server", pool = "Pool" }

local RETURNS = {
  ["dfu.open"] = "Board", ["dfu.at"] = "Board", ["dfu.list"] = "table[]", ["sim.new"] = "Sim",
  ["dfu.arrivals"] = "fun(): Board",
  ["sim.at"] = "Sim", ["image.load"] = "Image", ["image.new"] = "Image", ["image.parse"] = "Image",
  ["image:patch"] = "Image", ["image:pad"] = "Image", ["image:read"] = "string",
  ["image:crc"] = "integer", ["board:read"] = "string", ["board:open"] = "Board",
  ["task.spawn"] = "Task", ["task.current"] = "Task", ["task.now"] = "number",
  ["task.semaphore"] = "Semaphore", ["semaphore:acquire"] = "Permit", ["sys.start"] = "Stream",
  ["sys.serial"] = "Stream", ["sys.run"] = "table", ["sys.ask"] = "string",
  ["units.open"] = "Pool", ["pool:take"] = "table", ["pool:left"] = "integer",
  ["sim.serve"] = "Server", ["flash.plan"] = "table", ["sim:peek"] = "string",
}

-- { { name="board:read", args={ "address", "length" }, says= }, ... } in the order of the manual
local function functions()
  local list, title = {}, nil
  local lines
  local function finish()
    if not title then return end
    local name, args = title:match("^([%w_.:]+)%((.*)%)$")
    if name then
      local item = { name = name, args = {} }
      for arg in args:gmatch("[^, ]+") do
        item.args[#item.args + 1] = arg
        if arg == "..." then break end -- Lua has no arguments behind these
      end
      local text = markdown.render(lines):gsub("\n\n.*", ""):gsub("\n *", " ")
      item.says = text:match("^(.-[.:])%s") or text
      list[#list + 1] = item
    end
  end
  for line in sys.builtin("docs/api.md"):gmatch("([^\n]*)\n") do
    local heading = line:match("^##+ (.*)$")
    if heading then
      finish()
      title, lines = heading, {}
    elseif lines then
      lines[#lines + 1] = line
    end
  end
  finish()
  return list
end

local function define(item, out)
  local owner, join, name = item.name:match("^([%w_]+)([.:])([%w_]+)$")
  local full = owner and join == ":" and (CLASSES[owner] or owner) .. ":" .. name or item.name
  out[#out + 1] = "---" .. item.says
  local params = {}
  for i, arg in ipairs(item.args) do
    local plain, optional = arg:match("^([%w_]+)(%??)$")
    params[i] = plain or "..."
    out[#out + 1] = plain and ("---@param %s%s %s"):format(plain, optional, TYPES[plain] or "any")
      or "---@param ... any"
  end
  if RETURNS[item.name] then out[#out + 1] = "---@return " .. RETURNS[item.name] end
  out[#out + 1] = ("function %s(%s) end\n"):format(full, table.concat(params, ", "))
end

-- What Lua has already, and moonflash's own versions of it.
local LUA = { print = true, pcall = true, xpcall = true, require = true, ["os.exit"] = true }

---The definitions, as a Lua file for an editor.
---@return string
function M.make()
  local list, out = functions(), { "---@meta", "-- Made by 'moonflash recipes --types'.", "" }
  local owners, order = {}, {}
  for _, item in ipairs(list) do
    local owner, join = item.name:match("^([%w_]+)([.:])")
    local class = owner and (join == ":" and CLASSES[owner] or owner)
    if class and not owners[class] and owner ~= "os" and owner ~= "coroutine" then
      owners[class], order[#order + 1] = true, class
    end
  end
  for _, class in ipairs(order) do
    out[#out + 1] = "---@class " .. class
    local is_class = class:find("^%u")
    out[#out + 1] = is_class and ("local %s = {}\n"):format(class) or ("%s = {}\n"):format(class)
  end
  for _, item in ipairs(list) do
    if not LUA[item.name] and not item.name:find("^coroutine%.") then define(item, out) end
  end
  return table.concat(out, "\n")
end

M.functions = functions

return M

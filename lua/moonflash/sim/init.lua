-- SPDX-License-Identifier: MIT
-- Module `sim`: simulated boards by name, "sim:f407,flash=board.img,serial=A1". This file parses
-- the parameters; src/lua/lsim.c makes the boards.
local errors = require "moonflash.errors"
local misuse = require "moonflash.base.misuse"
local products = require "moonflash.sim.product"
local sim = require "moonflash.simulator"
local suggest = require "moonflash.base.suggest"
local sys = require "moonflash.system"
local text = require "moonflash.base.text"

local STATES = {
  "dfuIDLE", "dfuDNLOAD-SYNC", "dfuDNBUSY", "dfuDNLOAD-IDLE", "dfuMANIFEST-SYNC", "dfuMANIFEST",
  "dfuMANIFEST-WAIT-RESET", "dfuUPLOAD-IDLE", "dfuERROR",
}
-- Chips with their maker's boot loader, and third-party boot loaders, as data.
local FOLDERS = { "lua/moonflash/sim/chips/", "lua/moonflash/sim/loaders/" }
local MOST_SPEC = 480 -- bytes: a path has at most 511, with a number added
local FAULTS = { "unplug", "stall", "error", "corrupt", "hang", "short" }

local function usage(spec, format, ...)
  errors.raise { code = "usage", message = ("sim:%s: "):format(spec) .. format:format(...),
                 remedy = { "sim" } }
end

local one_of = suggest.one_of

local function integer(most)
  return function(value)
    local n, why = text.parse_integer(value, most)
    return n, why and "is a number: " .. why
  end
end

local function any(value)
  if value == "" then return nil, "is empty" end
  return value
end

-- Parameters of a simulated board. Each function returns the value, or nil and the expected format.
local parameters = {
  flash = any, serial = any, bus = any, tty = any,
  rdp = integer(2), wrp = integer(0xFFFFFFFF),
  usb = one_of { "real", "ideal", "none" },
  times = one_of { "typ", "max", "zero" },
  state = function(value)
    local name, i = one_of(STATES)(value)
    return name and i + 1, i
  end,
  fault = function(value)
    local kind, at = value:match("^(%a+)@(%d+)$")
    local n = at and math.tointeger(tonumber(at))
    if not n or n < 1 then return nil, "is KIND@N, for example unplug@40" end
    local known, why = one_of(FAULTS)(kind)
    if not known then return nil, why end
    return { kind = kind, at = n }
  end,
}

-- Boards that selectors named. They exist to the end of the run: the same string is the same board.
local kept = {} -- luacheck: ignore 241 (it keeps them from being collected)

-- The kinds that are built in, in C or as files.
local function all_kinds()
  local kinds = sim.kinds()
  for _, folder in ipairs(FOLDERS) do
    for _, file in ipairs(sys.builtins(folder)) do
      kinds[#kinds + 1] = file:match("([^/]+)%.lua$")
    end
  end
  return kinds
end

-- Of the kinds that are built in, in C.
local SUMMARIES = {
  f407 = "STM32F407: 1 MB, ROM of 2011 (an STM32F4 Discovery)",
  l452 = "STM32L452: 512 KB, refuses requests while it is busy",
  g474 = "STM32G474: 512 KB, pages of 2 KB",
  dfu11 = "no chip: plain DFU 1.1, with a run-time mode",
}

-- The text of a built-in kind that is a file.
local function source_of(kind)
  for _, folder in ipairs(FOLDERS) do
    local source = sys.builtin(folder .. kind .. ".lua")
    if source then return source end
  end
end

-- Parses "f407#2,rdp=1" or "./product.lua" to options for C.
local function parse(spec)
  local kind, rest = spec:match("^([^,#]*)#?[^,]*,?(.*)$")
  local kinds = all_kinds()
  if #spec > MOST_SPEC then usage(spec:sub(1, 40) .. "...", "it is too long") end
  local source = source_of(kind)
  local product = products.is_file(kind) and products.load(kind, sim)
    or source and products.parse("sim:" .. kind, source, sim) or nil
  if not (product or one_of(kinds)(kind)) then
    usage(spec, "there is no simulated board '%s'%s", kind, suggest.hint(kind, kinds))
  end
  local options = { kind = kind, product = product, usb = "real", times = "typ", faults = {} }
  for item in rest:gmatch("[^,]+") do
    local key, value = item:match("^([^=]*)=(.*)$")
    if not key then usage(spec, "'%s' is not NAME=VALUE", item) end
    local check = parameters[key]
    if not check then
      usage(spec, "there is no parameter '%s'%s", key,
        suggest.hint(key, suggest.keys(parameters)))
    end
    local checked, why = check(value)
    if checked == nil then usage(spec, "%s %s", key, why) end
    if key == "fault" then
      table.insert(options.faults, checked)
    else
      options[key] = checked
    end
  end
  return options
end

---The kinds of simulated boards, with a line about each.
---@return table[] { { kind=, summary= }, ... }, sorted by kind
function sim.catalogue()
  local list = {}
  for i, kind in ipairs(all_kinds()) do
    local source = source_of(kind)
    list[i] = { kind = kind, summary = SUMMARIES[kind]
      or products.parse("sim:" .. kind, source, sim).summary }
  end
  table.sort(list, function(a, b) return a.kind < b.kind end)
  return list
end

local ttys = {} -- terminals of the boards' programs, by path
local by_path = setmetatable({}, { __mode = "v" }) -- boards whose program has no USB device

local function make(path, options)
  local board = sim.make(path, options)
  local application = options.product and options.product.application
  ttys[path] = options.tty or application and application.tty
  by_path[path] = not application and board or nil
  for _, fault in ipairs(options.faults) do board:fault(fault.kind, fault.at) end
  return board
end

local made = 0
local new = {} -- paths of boards from sim.new; sim.ensure does not make them again

---Makes a simulated board with a path of its own: "f407,rdp=1".
---@param spec string
---@return table Sim
function sim.new(spec)
  if type(spec) ~= "string" then misuse("sim.new takes a string, like \"f407,rdp=1\"") end
  local options = parse(spec)
  local kind, rest = spec:match("^([^,#]*)#?[^,]*(.*)$")
  local path
  repeat
    made = made + 1
    path = ("sim:%s#%d%s"):format(kind, made, rest)
  until not sim.exists(path)
  new[path] = true
  return make(path, options)
end

---Creates the board that a selector names, unless it exists. It exists to the end of the run.
---@param selector string "sim:f407"
function sim.ensure(selector)
  if not (new[selector] or sim.exists(selector)) then
    kept[selector] = make(selector, parse(selector:match("^sim:(.*)$")))
  end
end

---The terminal of the program on the board at a path; nil if it has none.
---@param path string
---@return string?
function sim.tty(path) return ttys[path] end

---The terminal of a running program without a USB device; nil if none runs at that path.
---@param path string
---@return string?
function sim.running(path)
  local started = by_path[path] and by_path[path].started
  return started and started.works and ttys[path] or nil
end

-- By Server: its boards. The entry keeps Sims from being collected.
local served = setmetatable({}, { __mode = "k" })
local serve = sim.serve

---Offers simulated boards to a kernel, over USB/IP.
---@param address string numeric
---@param port integer
---@param boards table of selectors ("sim:f407") and Sims
---@param options? table anywhere: boolean
---@return table Server
function sim.serve(address, port, boards, options)
  if type(boards) ~= "table" then misuse("sim.serve takes a list of boards") end
  local paths, seen = {}, {}
  for i, board in ipairs(boards) do
    local path = type(board) == "userdata" and board.path or board
    if type(path) ~= "string" or not path:find("^sim:") then
      errors.raise { code = "usage", message = ("'%s' is not a simulated board"):format(path),
                     remedy = { "sim-name" } }
    elseif seen[path] then
      errors.raise { code = "usage", message = path .. " is named twice",
                     remedy = { "sim-name", name = path:gsub("^(sim:[^,#]*)", "%1#2", 1) } }
    end
    seen[path] = true
    sim.ensure(path)
    paths[i] = path
  end
  local server = serve(address, port, paths, options)
  served[server] = boards
  return server
end

return sim

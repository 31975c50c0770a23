-- SPDX-License-Identifier: MIT
-- Module `sim`: simulated boards by name, "sim:f407,flash=board.img,serial=A1". This file parses
-- the parameters; src/lua/lsim.c makes the boards.
local errors = require "moonflash.errors"
local files = require "moonflash.base.files"
local misuse = require "moonflash.base.misuse"
local sim = require "moonflash.simulator"
local suggest = require "moonflash.base.suggest"
local sys = require "moonflash.system"
local text = require "moonflash.base.text"

-- Modules that are loaded when a board needs them.
local function lazily(name)
  return setmetatable({}, { __index = function(_, key) return require(name)[key] end })
end
local products = lazily "moonflash.sim.product"
local replays = lazily "moonflash.sim.replay"

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

local FIRST_MEMORY = {
  f407 = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg",
  l452 = "@Internal Flash  /0x08000000/0256*0002Kg",
  g474 = "@Internal Flash   /0x08000000/256*02Kg",
}

-- The text of a built-in kind that is a file.
local function source_of(kind)
  for _, folder in ipairs(FOLDERS) do
    local source = sys.builtin(folder .. kind .. ".lua")
    if source then return source end
  end
end

-- ---- parsing a spec ----

local function check_parameter(spec, options, item)
  if item == "strict" and options.replay then
    options.strict = true
    return
  end
  local key, value = item:match("^([^=]*)=(.*)$")
  if not key then usage(spec, "'%s' is not NAME=VALUE", item) end
  local check = parameters[key]
  if key == "kind" and options.replay then check = any end
  if not check then
    usage(spec, "there is no parameter '%s'%s", key, suggest.hint(key, suggest.keys(parameters)))
  end
  local checked, why = check(value)
  if checked == nil then usage(spec, "%s %s", key, why) end
  if key == "fault" then
    table.insert(options.faults, checked)
  else
    options[key] = checked
  end
end

local function need_kind(spec, kind)
  local kinds = all_kinds()
  if one_of(kinds)(kind) then return end
  usage(spec, "there is no simulated board '%s'%s", kind, suggest.hint(kind, kinds))
end

-- The product of a kind; nil if the kind is in C, or there is none.
local function product_of(kind)
  local source = source_of(kind)
  return products.is_file(kind) and products.load(kind, sim)
    or source and products.parse("sim:" .. kind, source, sim) or nil
end

-- Whether a product has memories with all of these strings.
local function has_names(product, names)
  local own = {}
  for _, setting in ipairs(product.settings) do own[setting.name] = true end
  for _, name in ipairs(names) do
    if not own[name] then return false end
  end
  return true
end

-- The kind that has these layout strings, or the first of them: chips before other boot loaders.
local function kind_with(names)
  local likely
  for _, kind in ipairs(all_kinds()) do
    local product = product_of(kind)
    local first = product and product.settings[1]
    if FIRST_MEMORY[kind] == names[1] then return kind end
    if product and has_names(product, names) then return kind end
    if first and first.name == names[1] then likely = likely or kind end
  end
  return likely
end

-- "replay=board.pcap,kind=f042": the options for C, and what comes from the kind.
local function take_replay(spec, options, file)
  local bytes = files.read(file, replays.MOST_FILE)
  local replay, why = replays.read(bytes)
  if not replay then usage(spec, "%s %s", file, why) end
  local layouts = replays.layouts(replay)
  local kind = options.kind_given or layouts[1] and kind_with(layouts)
  if not kind then
    usage(spec, "%s; say which kind stands in for what the capture lacks: kind=f407", layouts[1]
      and ("no kind has the layout '%s'"):format(layouts[1]) or "the capture has no layout")
  end
  need_kind(spec, kind)
  local product = product_of(kind) or { base = kind, settings = {} }
  local fields, lacking = replays.fields(replay)
  for key, value in pairs(fields) do product[key] = value end
  product.config, product.alts = replay.config, replay.alts
  product.application = replays.application(replay) or product.application
  options.kind, options.product = kind, product
  options.replay = replays.transfers(replay)
  options.lacking = { file = file, kind = kind, lacking = lacking }
end

-- Parses "f407#2,rdp=1", "./product.lua" or "replay=board.pcap" to options for C.
local function parse(spec)
  local kind, rest = spec:match("^([^,#]*)#?[^,]*,?(.*)$")
  if #spec > MOST_SPEC then usage(spec:sub(1, 40) .. "...", "it is too long") end
  local capture = kind:match("^replay=(.*)$")
  local options = { kind = kind, usb = "real", times = "typ", faults = {}, replay = capture }
  if not capture then
    options.product = product_of(kind)
    if not options.product then need_kind(spec, kind) end
  end
  for item in rest:gmatch("[^,]+") do check_parameter(spec, options, item) end
  if capture then
    options.kind_given = options.kind ~= kind and options.kind or nil
    take_replay(spec, options, capture)
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

local all = setmetatable({}, { __mode = "v" }) -- all boards, by path
local strict_boards = setmetatable({}, { __mode = "v" }) -- by path
local replayed = {} -- by path: the capture that a board replays, and what it lacks

local function make(path, options)
  local board = sim.make(path, options)
  all[path] = board
  replayed[path], strict_boards[path] = options.lacking, options.strict and board or nil
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

---The simulated board at a path, which this run has: of a selector, or from sim.new.
---@param path string "sim:f407"
---@return table? Sim
function sim.at(path)
  if type(path) ~= "string" then misuse("sim.at(path): a path, like \"sim:f407\"") end
  return all[path]
end

---Creates the board that a selector names, unless it exists. It exists to the end of the run.
---@param selector string "sim:f407"
function sim.ensure(selector)
  if not (new[selector] or sim.exists(selector)) then
    kept[selector] = make(selector, parse(selector:match("^sim:(.*)$")))
  end
end

---The first difference of a strict replay at a path, as text; nil if there is none.
---@param path string
---@return string?
function sim.difference(path)
  local board = replayed[path] and strict_boards[path]
  return board and board.difference
end

---The capture that a board replays: { file=, kind=, lacking= }; nil if it replays none.
---@param path string
---@return table?
function sim.replays(path) return replayed[path] end

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

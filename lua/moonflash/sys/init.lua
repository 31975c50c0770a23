-- SPDX-License-Identifier: MIT
-- Module `sys`: the system (C part: src/lua/lsys.c), and things around a board: programs, serial
-- ports, the operator.
local check = require "moonflash.base.check"
local errors = require "moonflash.errors"
local misuse = require "moonflash.base.misuse"
local new_asker = require "moonflash.sys.ask"
local outside = require "moonflash.outside"
local stream = require "moonflash.sys.stream"
local suggest = require "moonflash.base.suggest"
local sys = require "moonflash.system"
local task = require "task"

local SECONDS = 60        -- default limit of a program
local MOST = 1024 * 1024  -- bytes of output that are kept
local AT_ONCE = 65536
local ROUNDS = 32         -- reads before other tasks get a turn; a pipe holds fewer bytes
local BAUD = 115200

local function check_text(what, name, value)
  if type(value) == "number" then value = tostring(value) end
  if type(value) ~= "string" then misuse("%s: %s is a string", what, name) end
  if value:find("\0", 1, true) then misuse("%s: %s has a zero in it", what, name) end
  return value
end

-- { NAME = "value", OTHER = false } --> { "NAME=value", "OTHER" }
local function settings_of(what, env)
  local list = {}
  if env ~= nil and type(env) ~= "table" then misuse("%s: env is a table", what) end
  for name, value in pairs(env or {}) do
    if type(name) ~= "string" or name == "" or name:find("[=\0]") then
      misuse("%s: env has names and values", what)
    end
    list[#list + 1] = value and name .. "=" .. check_text(what, "env." .. name, value) or name
  end
  return list
end

-- Checks the words and options of a program; `known` has the names of the options.
local function check_program(what, program, known)
  if type(program) ~= "table" or program[1] == nil then
    misuse("%s: a list, the program first", what)
  end
  local argv = {}
  for i = 1, #program do argv[i] = check_text(what, "word " .. i, program[i]) end
  for key in pairs(program) do
    if not (math.type(key) == "integer" and argv[key]) and not known[key] then
      misuse("%s: there is no option '%s'%s", what, tostring(key),
        suggest.hint(key, suggest.keys(known)))
    end
  end
  if program.input ~= nil and type(program.input) ~= "string" then
    misuse("%s: input is a string", what)
  end
  check.seconds(what, program.seconds)
  return argv, settings_of(what, program.env)
end

local REMEDIES = {
  ["sys.missing"] = { program = "install", port = "plug-in" },
  ["sys.permission"] = { program = "may-run", port = "dialout" },
  ["sys.busy"] = { port = "in-use" },
}

local function refuse(name, kind, word, why)
  local code = ("sys.%s"):format(word)
  errors.raise { code = code, message = ("%s: %s"):format(name, why),
                            remedy = { (REMEDIES[code] or {})[kind] } }
end

local function start(argv, settings, has_input)
  local channel, word, why = outside.start(argv, settings, has_input)
  if not channel then refuse(argv[1], "program", word, why) end
  return channel
end

-- ---- a program to its end ----

-- Writes as much as the pipe takes, and returns the next position. A reader that closes early is
-- not an error.
local function feed(channel, input, from)
  local n = from <= #input and channel:write(input, from)
  from = n and from + n or #input + 1
  if from > #input then channel:finish() end
  return from
end

-- Reads the present output. Returns whether more may come.
local function collect(channel, output)
  for _ = 1, ROUNDS do
    local bytes = channel:read(AT_ONCE)
    if not bytes then return bytes == nil end
    local room = MOST - output.size
    output.size = output.size + math.min(#bytes, room)
    output.dropped = output.dropped + math.max(0, #bytes - room)
    if room > 0 then output[#output + 1] = bytes:sub(1, room) end
  end
  return true
end

-- Serves the pipes until the program has ended. Returns false at the deadline. The output of
-- processes that the program left behind is not awaited.
local function attend(channel, input, output, deadline)
  local from, more = 1, true
  while true do
    if input and from <= #input then from = feed(channel, input, from) end
    if more then more = collect(channel, output) end
    if channel:status() ~= false then
      collect(channel, output) -- the last output that the program wrote
      return true
    end
    local left = deadline - task.now()
    if left <= 0 then return false end
    channel:wait((more and "re" or "e") .. (input and from <= #input and "w" or ""),
      left < math.huge and left or nil)
  end
end

-- Kills the program if it still runs, and closes the channel.
local function finish(channel)
  if channel:status() == false then
    channel:kill()
    channel:wait("e")
  end
  channel:close()
end

---Runs a program to its end. Raises `timeout` if it does not end in time.
---@param program table its words; also seconds=, input=, env=
---@return table { status=, signal=, output=, dropped= }
function sys.run(program)
  local argv, settings = check_program("sys.run{...}", program,
    { seconds = true, input = true, env = true })
  local seconds, input = program.seconds or SECONDS, program.input
  local output = { size = 0, dropped = 0 }
  local channel = start(argv, settings, input ~= nil)
  local _ <close> = setmetatable({}, { __close = function()
    local _ <close> = setmetatable({}, { __close = function() channel:close() end })
    finish(channel)
  end })
  if input == "" then channel:finish() end
  local ended = attend(channel, input, output, task.now() + seconds)
  local text = table.concat(output)
  if not ended then
    local tail = stream.tail(text)
    errors.raise { code = "timeout", seen = text,
      message = ("%s: not done within %s s%s"):format(argv[1], tostring(seconds),
        tail ~= "" and "; last came: " .. tail or "") }
  end
  local status, signal = channel:status()
  return { status = status, signal = signal, output = text,
           dropped = output.dropped > 0 and output.dropped or nil }
end

-- ---- streams ----

---Starts a program, and returns a Stream to it.
---@param program table its words; also env=
---@return table Stream
function sys.start(program)
  local argv, settings = check_program("sys.start{...}", program, { env = true })
  return stream.new(start(argv, settings, true), argv[1])
end

---Opens a serial port.
---@param path string "/dev/ttyACM0"
---@param baud? integer default 115200
---@return table Stream
function sys.serial(path, baud)
  local what = "sys.serial(tty, baud)"
  path = check_text(what, "tty", path)
  baud = baud or BAUD
  if math.type(baud) ~= "integer" or not outside.has_rate(baud) then
    misuse("%s: %s is not a standard rate (9600, 115200, 921600, ...)", what, tostring(baud))
  end
  local channel, word, why = outside.serial(path, baud)
  if not channel then refuse(path, "port", word, why) end
  return stream.new(channel, path)
end

---Touches a serial port: opens it at 1200 baud, and closes it. Boards with Arduino's USB core enter
---their boot loader then.
---@param path string "/dev/ttyACM0"
function sys.touch(path)
  path = check_text("sys.touch(tty)", "tty", path)
  local touched, word, why = outside.touch(path)
  if not touched then refuse(path, "port", word, why) end
end

-- ---- the operator ----

local ask, desk

local TRIES = 3

local function check_asked(asked)
  if type(asked) == "string" then asked = { text = asked } end
  if type(asked) ~= "table" then misuse("sys.ask(text): a text is a string") end
  check.options("sys.ask", asked, { "text", "check", "tries" })
  if type(asked.text) ~= "string" then misuse("sys.ask: text is a string") end
  if asked.check ~= nil and type(asked.check) ~= "function" then
    misuse("sys.ask: check is a function")
  end
  local tries = asked.tries or TRIES
  if math.type(tries) ~= "integer" or tries < 1 then
    misuse("sys.ask: tries is an integer, 1 or more")
  end
  return { text = asked.text, check = asked.check or function() return true end, tries = tries }
end

---Asks the operator, and waits for a line. Questions of several tasks are queued.
---@param asked string|table the question, or text=, check= function(line), tries= integer
---@return string line
function sys.ask(asked)
  asked = check_asked(asked)
  if not ask then ask, desk = new_asker(outside) end
  return ask(asked)
end

---Where lines go that answer no question (ask.lua). For the station.
---@return table
function sys.desk()
  if not ask then ask, desk = new_asker(outside) end
  return desk
end

return sys

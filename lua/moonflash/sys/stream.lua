-- SPDX-License-Identifier: MIT
-- Streams: a program or a serial port, to be written to and to be listened to. What comes is kept
-- until it is read, 64 KB of it; more stays where it is until there is room.
local check = require "moonflash.base.check"
local descriptor = require "moonflash.board.descriptor"
local errors = require "moonflash.errors"
local misuse = require "moonflash.base.misuse"
local suggest = require "moonflash.base.suggest"
local task = require "task"

local M = {}

local KEPT = 65536      -- bytes that are kept for expect
local AT_ONCE = 4096    -- bytes that are read at once
local SECONDS = 10      -- how long expect waits, and how long write does for any of it to be taken
local SEEN = 120        -- bytes of what came that an error shows
local DRAIN = 1         -- seconds that a serial port may take to send its last bytes
local LOOK = 0.005      -- seconds between two looks whether it has

local Stream = {}
local meta = { __name = "Stream" }

function meta.__index(_, key)
  local method = Stream[key]
  if not method then
    misuse("a Stream has no '%s'%s", tostring(key), suggest.hint(key, suggest.keys(Stream)))
  end
  return method
end

-- All that are open, in the order of making; one that nobody holds is closed by the collector.
local open = setmetatable({}, { __mode = "k" })
local made = 0

-- What a Stream is made of; so that its fields are its methods, and no others.
local insides = setmetatable({}, { __mode = "k" })

---Makes a Stream of a channel.
---@param channel userdata of src/lua/lchannel.c
---@param name string for errors
---@return table Stream
function M.new(channel, name)
  made = made + 1
  local stream = setmetatable({}, meta)
  insides[stream] = { channel = channel, name = name, kept = "", ended = false }
  open[stream] = made
  return stream
end

---The end of what came, on one line and fit to print.
---@param s string
---@return string
function M.tail(s)
  s = s:gsub("^%s+", ""):gsub("%s+$", "")
  local tail = descriptor.clean((s:sub(-SEEN):gsub("[\r\n]+", " / ")))
  return (#s > SEEN and "..." or "") .. tail
end

local ESCAPES = { ["\r"] = "\\r", ["\n"] = "\\n", ["\t"] = "\\t" }

-- A pattern as whoever wrote it had it in his script.
local function shown(pattern)
  return descriptor.clean((pattern:gsub("[\r\n\t]", ESCAPES)))
end

-- How the program behind it has ended; nil: it has not, or there is none.
local function fate(channel)
  local status, signal = channel:status()
  if status then return "it ended with status " .. status end
  if signal then return "it was ended by signal " .. signal end
end

local function raise_closed(self)
  errors.raise { code = "cancelled", message = self.name .. ": it was closed meanwhile" }
end

local function usable(stream, what)
  local self = insides[stream]
  if not self then misuse("%s: call it with a colon", what) end
  if self.closing then misuse("%s: %s is closed", what, self.name) end
  return self
end

-- One task reads, one task writes.
local function claim(self, side)
  if self[side] then misuse("another task is %s %s", side, self.name) end
  self[side] = true
  return setmetatable({}, { __close = function() self[side] = nil end })
end

-- Nothing comes, or is taken, any more.
local function raise_ended(self, doing)
  local channel = self.channel
  if not self.why then channel:wait("e", 0.5) end -- its output ends a moment before a program does
  if self.closing then raise_closed(self) end
  local how = self.why or fate(channel) or "it is gone, or has closed its output"
  errors.raise { code = self.why and "sys.io" or "sys.ended", seen = self.kept,
    message = ("%s: %s, while %s%s"):format(self.name, how, doing,
      self.kept ~= "" and "; last came: " .. M.tail(self.kept) or "") }
end

-- Takes what is there, as long as there is room for it.
local function take(self)
  while not self.ended and #self.kept < KEPT do
    local bytes, why = self.channel:read(math.min(AT_ONCE, KEPT - #self.kept))
    if bytes == nil then break end
    if bytes then
      self.kept = self.kept .. bytes
    else
      self.ended, self.why = true, why
    end
  end
end

-- Waits until it is ready for that, or until then; false: it is later than that.
local function wait(self, what, deadline)
  local left = deadline - task.now()
  if left <= 0 then return false end
  self.channel:wait(what, left < math.huge and left or nil)
  if self.closing then raise_closed(self) end
  return true
end

-- What the pattern found: its captures, or all of it. Takes out what came up to there.
local function matched(self, first, last, ...)
  local text = self.kept
  self.kept = text:sub(last + 1)
  if select("#", ...) == 0 then return text:sub(first, last) end
  return ...
end

local function find(self, pattern)
  local found = table.pack(pcall(string.find, self.kept, pattern))
  if not found[1] then misuse("stream:expect(pattern): %s", found[2]) end
  return found[2] and found
end

---Waits until what came holds the pattern; what stands before and in it is then read.
---@param pattern string a Lua pattern
---@param seconds? number how long to wait, 10
---@return string ... its captures, or all that it matched
function Stream:expect(pattern, seconds)
  local what = "stream:expect(pattern, seconds)"
  local stream = usable(self, what)
  if type(pattern) ~= "string" then misuse("%s: a pattern is a string", what) end
  seconds = check.seconds(what, seconds) or SECONDS
  local _ <close> = claim(stream, "listening to")
  local deadline = task.now() + seconds
  while true do
    take(stream)
    local found = find(stream, pattern)
    if found then return matched(stream, table.unpack(found, 2, found.n)) end
    if stream.ended then
      raise_ended(stream, ("'%s' was waited for"):format(shown(pattern)))
    end
    if #stream.kept >= KEPT then -- then the older half can't be waited for any more
      stream.kept = stream.kept:sub(KEPT // 2 + 1)
    end
    if not wait(stream, "r", deadline) then
      local tail = stream.kept == "" and "nothing came" or "last came: " .. M.tail(stream.kept)
      errors.raise { code = "timeout", seen = stream.kept,
        message = ("%s: no '%s' within %s s; %s"):format(stream.name, shown(pattern),
          tostring(seconds), tail) }
    end
  end
end

---What has come and was not read.
---@param seconds? number how long to wait for any, 0
---@return string
function Stream:read(seconds)
  local what = "stream:read(seconds)"
  local stream = usable(self, what)
  seconds = check.seconds(what, seconds) or 0
  local _ <close> = claim(stream, "listening to")
  local deadline = task.now() + seconds
  take(stream)
  while stream.kept == "" and not stream.ended do
    if task.now() >= deadline or not wait(stream, "r", deadline) then break end
    take(stream)
  end
  if stream.kept == "" and stream.ended then raise_ended(stream, "it was read") end
  local bytes = stream.kept
  stream.kept = ""
  return bytes
end

---Writes all of it.
---@param bytes string
function Stream:write(bytes)
  local what = "stream:write(bytes)"
  local stream = usable(self, what)
  if type(bytes) ~= "string" then misuse("%s: bytes are a string", what) end
  local _ <close> = claim(stream, "writing to")
  local from, deadline = 1, task.now() + SECONDS
  while from <= #bytes do
    local n, why = stream.channel:write(bytes, from)
    if not n then
      stream.why = why
      raise_ended(stream, "it was written to")
    end
    from = from + n
    if n > 0 then
      deadline = task.now() + SECONDS
    else
      -- who answers at length may take no more before somebody listens
      local listen = not (stream["listening to"] or stream.ended) and #stream.kept < KEPT
      if task.now() >= deadline then
        errors.raise { code = "timeout", message = ("%s: it takes no more: %d of %d bytes"):format(
          stream.name, from - 1, #bytes) }
      end
      wait(stream, listen and "rw" or "w", deadline)
      if listen then take(stream) end
    end
  end
end

---Closes it: a program is ended, a serial port is left as it was found.
function Stream:close()
  local stream = insides[self]
  if not stream then misuse("stream:close(): call it with a colon") end
  local channel = stream.channel
  if stream.closing then return end
  stream.closing = true
  local _ <close> = setmetatable({}, { __close = function()
    channel:close()
    open[self] = nil
  end })
  local deadline = task.now() + DRAIN
  while channel:unsent() > 0 and task.now() < deadline do
    task.sleep(LOOK)
  end
  channel:discard()
  channel:kill()
  if channel:status() == false then channel:wait("e") end
end

function meta.__close(stream)
  stream:close()
end

function meta.__tostring(stream)
  local self = insides[stream]
  return ("Stream (%s%s)"):format(self.name, self.closing and ", closed" or "")
end

---Closes all that are open, the last first; raises the first error of that, when all are closed.
function M.close_all()
  local list = {}
  for stream in pairs(open) do list[#list + 1] = stream end
  table.sort(list, function(a, b) return open[a] > open[b] end)
  local ok, err = true, nil
  -- all at once: one that does not want to end takes a second
  for _, stream in ipairs(list) do
    if not insides[stream].closing then insides[stream].channel:kill() end
  end
  for _, stream in ipairs(list) do
    local closed, why = pcall(stream.close, stream)
    if ok and not closed then ok, err = false, why end
  end
  if not ok then error(err, 0) end
end

return M

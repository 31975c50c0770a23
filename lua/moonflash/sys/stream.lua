-- SPDX-License-Identifier: MIT
-- Streams: a program or a serial port to write to and read from. Up to 64 KB of input are kept
-- until they are read; further input stays in the pipe or port.
local check = require "moonflash.base.check"
local descriptor = require "moonflash.board.descriptor"
local errors = require "moonflash.errors"
local misuse = require "moonflash.base.misuse"
local suggest = require "moonflash.base.suggest"
local task = require "task"

local M = {}

local KEPT = 65536      -- bytes that are kept for expect
local AT_ONCE = 4096    -- bytes that are read at once
local SECONDS = 10      -- default wait of expect, and limit of write without progress
local SEEN = 120        -- bytes of input that an error shows
local DRAIN = 1         -- seconds that a serial port may take to send its last bytes
local LOOK = 0.005      -- seconds between two checks of that

local Stream = {}
local meta = { __name = "Stream" }

function meta.__index(_, key)
  local method = Stream[key]
  if not method then
    misuse("a Stream has no '%s'%s", tostring(key), suggest.hint(key, suggest.keys(Stream)))
  end
  return method
end

-- The open Streams, with the order of their creation. Unreachable ones are closed by the collector.
local open = setmetatable({}, { __mode = "k" })
local made = 0

-- The state of each Stream. It is kept apart, so that a Stream has no fields but its methods.
local insides = setmetatable({}, { __mode = "k" })

---Makes a Stream from a channel.
---@param channel userdata of src/lua/lchannel.c
---@param name string for errors
---@return table Stream
function M.new(channel, name)
  made = made + 1
  local stream = setmetatable({}, meta)
  insides[stream] = { channel = channel, name = name, kept = "", ended = false,
                      board = task.tag() }
  open[stream] = made
  return stream
end

---The end of the input, as one line that is safe to print.
---@param s string
---@return string
function M.tail(s)
  s = s:gsub("^%s+", ""):gsub("%s+$", "")
  local tail = descriptor.clean((s:sub(-SEEN):gsub("[\r\n]+", " / ")))
  return (#s > SEEN and "..." or "") .. tail
end

local ESCAPES = { ["\r"] = "\\r", ["\n"] = "\\n", ["\t"] = "\\t" }

-- A pattern for messages, with escapes as in Lua source.
local function shown(pattern)
  return descriptor.clean((pattern:gsub("[\r\n\t]", ESCAPES)))
end

-- The end of the program behind a channel, as text; nil if it runs, or if there is no program.
local function fate(channel)
  local status, signal = channel:status()
  if status then return "ended with status " .. status end
  if signal then return "was ended by signal " .. signal end
end

local function raise_closed(self)
  errors.raise { code = "cancelled", message = self.name .. ": closed by another task" }
end

local function usable(stream, what)
  local self = insides[stream]
  if not self then misuse("%s: call it with a colon", what) end
  if self.closing then misuse("%s: %s is closed", what, self.name) end
  return self
end

-- Allows one reading and one writing task at a time: `side` is held until the returned value is
-- closed.
local function claim(self, side)
  if self[side] then misuse("another task is %s %s", side, self.name) end
  self[side] = true
  return setmetatable({}, { __close = function() self[side] = nil end })
end

-- Raises the error for a Stream whose other end has closed.
local function raise_ended(self, doing)
  local channel = self.channel
  if not self.why then channel:wait("e", 0.5) end -- output ends a moment before its program
  if self.closing then raise_closed(self) end
  local how = self.why or fate(channel) or "closed its output or went away"
  errors.raise { code = self.why and "sys.io" or "sys.ended", seen = self.kept,
    message = ("%s: %s %s%s"):format(self.name, how, doing,
      self.kept ~= "" and "; last came: " .. M.tail(self.kept) or "") }
end

-- Reads the present input, up to the limit of KEPT.
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

-- Waits until the channel is ready. Returns false at the deadline.
local function wait(self, what, deadline)
  local left = deadline - task.now()
  if left <= 0 then return false end
  self.channel:wait(what, left < math.huge and left or nil)
  if self.closing then raise_closed(self) end
  return true
end

-- The captures of a match, or the whole match. Removes the input up to its end.
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

---Waits until the input matches a pattern, and takes the input up to the end of the match.
---@param pattern string a Lua pattern
---@param seconds? number the longest wait, default 10
---@return string ... the captures, or the whole match
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
      raise_ended(stream, ("before '%s' came"):format(shown(pattern)))
    end
    if #stream.kept >= KEPT then -- the older half is dropped
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

---The input that was not read yet.
---@param seconds? number the longest wait for any input, default 0
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
  if stream.kept == "" and stream.ended then raise_ended(stream, "and has sent everything") end
  local bytes = stream.kept
  stream.kept = ""
  return bytes
end

---Writes all bytes. Raises `timeout` if the other end takes none for 10 seconds.
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
      raise_ended(stream, "before everything was written to it")
    end
    from = from + n
    if n > 0 then
      deadline = task.now() + SECONDS
    else
      -- read meanwhile: a program that answers at length may take no input before its output is
      -- read
      local listen = not (stream["listening to"] or stream.ended) and #stream.kept < KEPT
      if task.now() >= deadline then
        errors.raise { code = "timeout",
          message = ("%s: accepts no more data: %d of %d bytes written"):format(stream.name,
            from - 1, #bytes) }
      end
      wait(stream, listen and "rw" or "w", deadline)
      if listen then take(stream) end
    end
  end
end

---Closes the Stream: ends a program, restores the settings of a serial port.
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

---Closes all open Streams, the last one first; or those that were opened for a board. Then raises
---the first error.
---@param board? table
function M.close_all(board)
  local list = {}
  for stream in pairs(open) do
    if board == nil or insides[stream].board == board then list[#list + 1] = stream end
  end
  table.sort(list, function(a, b) return open[a] > open[b] end)
  local ok, err = true, nil
  -- all are told at once: a program that ignores SIGTERM takes a second
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

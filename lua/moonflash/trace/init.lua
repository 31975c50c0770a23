-- SPDX-License-Identifier: MIT
-- The USB requests in readable form: the last ones of each board, each one on the screen as it ends
-- (--trace, --trace-bytes), all of them in a file (--pcap).
local descriptor = require "moonflash.board.descriptor"
local dfu = require "dfu"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local hexdump = require "moonflash.base.hexdump"
local misuse = require "moonflash.base.misuse"
local pattern = require "moonflash.base.pattern"
local pcap = require "moonflash.trace.pcap"
local task = require "task"
local text = require "moonflash.base.text"

local KEPT = 64   -- requests of each board
local HEAD = 16   -- bytes of each request that are kept, unless all are wanted
local RELEASE = 2 -- seconds to wait for the last requests of boards that are being released

local M = {}

-- places: by path, the facts about the device there, and its last requests.
-- headed: the heading of the printed lines has been printed.
local state = { keeping = false, live = false, named = false, headed = false, all_bytes = false,
                capture = nil, captures = {}, places = {}, boards = 0, width = 0, count = 0 }

-- ---- the meaning of a request ----

local CLASS = { [0] = "DETACH", "DNLOAD", "UPLOAD", "GETSTATUS", "CLRSTATUS", "GETSTATE", "ABORT" }
local STANDARD = { [0] = "GET_STATUS", "CLEAR_FEATURE", nil, "SET_FEATURE", nil, "SET_ADDRESS",
                   "GET_DESCRIPTOR", "SET_DESCRIPTOR", "GET_CONFIGURATION", "SET_CONFIGURATION",
                   "GET_INTERFACE", "SET_INTERFACE" }
local TYPE_OF = { DETACH = 0x21, DNLOAD = 0x21, UPLOAD = 0xA1, GETSTATUS = 0xA1, CLRSTATUS = 0x21,
                  GETSTATE = 0xA1, ABORT = 0x21 }

local function name_of(type, request)
  if not type then return "USB reset" end
  local name = CLASS[request]
  if name and TYPE_OF[name] == type then return name end
  return type & 0x60 == 0 and STANDARD[request] or "request"
end

-- Whether the device speaks DfuSe; false before it has been opened.
local function is_dfuse(place)
  return place.device.opened ~= nil and place.device.opened.dfuse
end

-- The address of a block, if it can be computed: AN3156; DFU 1.1.
local function address_of(place, block)
  local device = place.device.opened
  if not device then return nil end
  if not device.dfuse then return block * device.transfer_size end
  return place.pointer and block >= 2
    and place.pointer + (block - 2) * device.transfer_size or nil
end

-- Commands in block 0: with an address, and without.
local WITH_ADDRESS = { [0x21] = "set address", [0x41] = "erase" }
local ALONE = { [0x41] = "mass erase", [0x92] = "read unprotect" }

-- By name of a request: adds the meaning of an answered request to its record, and updates the
-- facts about the device, such as its address pointer.
local take_in = {}

function take_in.DNLOAD(place, r, data)
  local dfuse = is_dfuse(place)
  r.block = r.value
  place.busy_since, place.coming = nil, nil
  if r.length == 0 then
    r.command, r.address = dfuse and "leave" or "the end", dfuse and place.pointer or nil
  elseif not dfuse or r.block ~= 0 then
    r.address = address_of(place, r.block)
  elseif #data == 5 and WITH_ADDRESS[data:byte()] then
    r.command, r.address = WITH_ADDRESS[data:byte()], ("<I4"):unpack(data, 2)
    place.coming = r.address -- ST's library: an erase sets the pointer, too
  elseif #data == 1 then
    r.command = ALONE[data:byte()]
    place.pointer = nil
  end
end

function take_in.UPLOAD(place, r)
  r.block = r.value
  if is_dfuse(place) and r.block == 0 then
    r.command = "get commands"
  else
    r.address = address_of(place, r.block)
  end
end

-- dfuDNBUSY and dfuMANIFEST: the board works, and reports a poll timeout.
local AT_WORK = { [4] = true, [7] = true }
local IN_ERROR = 10

function take_in.GETSTATUS(place, r, data)
  if #data ~= 6 then return end
  local status, poll, code = ("<BI3B"):unpack(data)
  r.status, r.state = dfu.statuses[status] or "unknown", dfu.states[code] or "unknown"
  r.poll = poll / 1000
  local ended = r.started + r.elapsed
  if AT_WORK[code] then
    place.busy_since = place.busy_since or ended
  else
    r.took = place.busy_since and ended - place.busy_since
    place.busy_since = nil
  end
  -- the command of block 0 has been carried out after this request, or was refused
  if code == IN_ERROR then
    place.pointer = nil
  elseif place.coming then
    place.pointer = place.coming
  end
  place.coming = nil
end

function take_in.GETSTATE(_, r, data)
  if #data == 1 then r.state = dfu.states[data:byte()] or "unknown" end
end

function take_in.ABORT(place)
  place.busy_since, place.coming = nil, nil
end

take_in.CLRSTATUS = take_in.ABORT

function take_in.SET_INTERFACE(place)
  place.pointer, place.coming = nil, nil
end

function take_in.GET_DESCRIPTOR(_, r, data)
  if r.value >> 8 == 3 and r.value & 0xFF ~= 0 then r.text = descriptor.string(data) end
end

-- ---- a request as text ----

local FAILED = { stall = "STALL", gone = "the board is gone", timeout = "no answer",
                 io = "lost on the wire", cancelled = "given up" }
local DESCRIPTORS = { "device", "configuration", "string" }

local function subject(r)
  local name = r.name
  if r.block then
    local arrow = name == "UPLOAD" and "<-" or "->"
    if r.command then
      return ("%s %d %s%s"):format(name, r.block, r.command,
        r.address and " " .. text.hex(r.address) or "")
    end
    return ("%s %d%s"):format(name, r.block,
      r.address and (" %s %s"):format(arrow, text.hex(r.address)) or "")
  elseif name == "DETACH" then
    return ("DETACH within %d ms"):format(r.value)
  elseif name == "GET_DESCRIPTOR" then
    local kind = r.value >> 8
    return ("GET_DESCRIPTOR %s %d"):format(DESCRIPTORS[kind] or kind, r.value & 0xFF)
  elseif name == "SET_INTERFACE" then
    return ("SET_INTERFACE %d, setting %d"):format(r.index, r.value)
  elseif name == "request" then
    return ("request %02X %02X, value %04X, index %04X"):format(r.type, r.request, r.value, r.index)
  end
  return name
end

local function answer(r)
  local parts = {}
  local moved = math.type(r.result) and r.result
  local told = r.name == "GETSTATUS" or r.name == "GETSTATE"
  if r.length and r.length > 0 and not (told and (r.state or not moved)) then
    local short = moved and moved < r.length and (r.block or told)
    parts[1] = short and ("%d of %d bytes"):format(moved, r.length)
      or text.count(moved or r.length, "byte")
  end
  if not r.type and r.result == "gone" then
    parts[1] = "it comes back as another device"
  elseif not moved then
    parts[#parts + 1] = FAILED[r.result] or r.result
  end
  if r.state then
    parts[#parts + 1] = r.state .. (r.status and r.status ~= "OK" and " " .. r.status or "")
    if r.poll and r.poll > 0 then parts[#parts + 1] = ("poll %.0f ms"):format(r.poll * 1000) end
    if r.took then parts[#parts + 1] = ("took %.1f ms"):format(r.took * 1000) end
  end
  if r.text then parts[#parts + 1] = '"' .. r.text .. '"' end
  return table.concat(parts, ", ")
end

-- at, duration, request (DNLOAD and UPLOAD with the number of the block), answer: most requests fit
-- in 72 columns, and all that are usual in 80.
local FORMAT, HEADING = "%8.3f %7.2f  %-31s  %s", "%8s %7s  %-31s  %s"

local LAYOUT = { indent = (" "):rep(18), gap = "", whole = true }

-- The hex dump of a request's data, with addresses if they are known.
local function dump(r)
  return hexdump(r.data, r.address and not r.command and r.address or 0, LAYOUT)
end

local function line_of(r)
  return (FORMAT:format(r.started, r.elapsed * 1000, subject(r), answer(r)):gsub(" +$", ""))
end

local function heading()
  return HEADING:format("at s", "ms", "request and block", "answer")
end

local Record = { __name = "moonflash.Request" }

function Record:__tostring()
  local line = line_of(self)
  if not self.all_bytes or #self.data == 0 then return line end
  if #self.data <= 8 then return line .. "  [" .. text.bytes(self.data) .. "]" end
  return line .. "\n" .. dump(self)
end

-- ---- observing ----

local function place_at(path, generation)
  local place = state.places[path]
  if not place then
    state.boards, state.width = state.boards + 1, math.max(state.width, #path)
    place = { ring = { n = 0 } }
  end
  if place.generation ~= generation then -- another device, whose address pointer is unknown
    place = { ring = place.ring, generation = generation, device = dfu.device(path, generation) }
    state.places[path] = place
  end
  return place
end

local function show(r)
  local lines = (state.headed and "" or heading() .. "\n") .. tostring(r)
  state.headed = true
  if state.named or state.boards > 1 then
    local whose = r.path .. ": " .. (" "):rep(state.width - #r.path)
    lines = whose .. lines:gsub("\n", "\n" .. whose)
  end
  events.emit("wire", lines)
end

-- Called by C for each request that has ended. type is nil for a USB reset.
local function see(path, generation, started, elapsed, result, type, request, value, index, length,
                   data)
  local place = place_at(path, generation)
  if state.capture and type then
    state.capture:add(place.device, started, elapsed, result, type, request, value, index, length,
      data)
  end
  local own = state.captures[path]
  if own and type then
    own:add(place.device, started, elapsed, result, type, request, value, index, length, data)
  end
  if not (state.keeping or state.live) then return end
  state.count = state.count + 1
  local r = setmetatable({ path = path, number = state.count, name = name_of(type, request),
    started = started, elapsed = elapsed, type = type, request = request, value = value,
    index = index, length = length, result = result, all_bytes = state.all_bytes or nil,
    data = (data or ""):sub(1, state.all_bytes and -1 or HEAD) }, Record)
  local understand = take_in[r.name]
  if understand then understand(place, r, data) end
  if not math.type(result) then place.coming = nil end
  local ring = place.ring
  ring.n = ring.n + 1
  ring[(ring.n - 1) % KEPT + 1] = r
  if state.live then show(r) end
end

local function update()
  dfu.observe((state.keeping or state.live or state.capture or next(state.captures)) and see or nil)
end

-- ---- what recipes and the prompt call ----

---Starts keeping the last 64 requests of each board.
---@param all_bytes? boolean keep all bytes of each request, instead of 16
function M.start(all_bytes)
  state.keeping = true
  if all_bytes ~= nil then state.all_bytes = all_bytes end
  update()
end

---Stops keeping and printing requests, and forgets the kept ones.
function M.stop()
  state.keeping, state.live, state.all_bytes = false, false, false
  state.places, state.boards, state.width = {}, 0, 0
  update()
end

---Turns printing on or off: each request is printed when it has ended.
---@param on boolean
---@param named? boolean each line has the board's path, even for a single board
function M.live(on, named)
  if type(on) ~= "boolean" then misuse("trace.live(on): true or false") end
  if on then M.start() end
  state.live, state.named = on, named or false
end

local List = {
  __tostring = function(list)
    local lines = { #list > 0 and heading() or nil }
    for _, r in ipairs(list) do lines[#lines + 1] = tostring(r) end
    return table.concat(lines, "\n")
  end,
}

---The last requests of a board or of all boards, in the order in which they ended.
---@param board? table|string a Board, or its path
---@param n? integer at most this many
---@return table[] requests each has a __tostring, and so has the list
function M.last(board, n)
  local path = type(board) == "userdata" and board.path or board
  if path ~= nil and type(path) ~= "string" then misuse("trace.last(board, n): a Board, or nil") end
  if n ~= nil and not (math.type(n) == "integer" and n >= 0) then
    misuse("trace.last(board, n): how many")
  end
  local found = {}
  for where, place in pairs(state.places) do
    if path == nil or where == path then table.move(place.ring, 1, KEPT, #found + 1, found) end
  end
  table.sort(found, function(a, b) return a.number < b.number end)
  local first = math.max(1, #found - (n or #found) + 1)
  return setmetatable(table.move(found, first, #found, 1, {}), List)
end

-- ---- for the command line ----

---Starts writing all requests to a file. Raises `file.write` if that is not possible. A pattern
---gets its name at the end, when the boards are known.
---@param name string
function M.capture(name)
  if state.wanted == name then return end
  if pattern.is_pattern(name) then pattern.check(name, "--pcap") end
  if state.capture then state.capture:close() end
  state.wanted = name
  state.capture = pcap.open(pattern.is_pattern(name) and pattern.expand(name) or name)
  update()
end

-- Gives a capture with a pattern its name. Returns an error if that fails.
local function name_capture(capture, facts)
  if not pattern.is_pattern(state.wanted) then return nil end
  local name = pattern.expand(state.wanted, facts)
  local done, why = os.rename(capture.name, name)
  return not done and errors.new { code = "file.write",
    message = ("--pcap %s: %s; the capture is in %s"):format(state.wanted, why, capture.name) }
    or nil
end

---Makes the capture of a pattern one for each unit of a station. Returns whether there is one.
---@return boolean
function M.capture_units()
  if not state.wanted or not pattern.is_pattern(state.wanted) then return false end
  if state.capture then
    local name = state.capture.name
    state.capture:close()
    os.remove(name)
    state.capture, state.has_units = nil, true
  end
  update()
  return true
end

---Starts a capture of the requests of one board.
---@param path string
---@param facts table for the pattern
function M.begin_unit(path, facts)
  state.captures[path] = pcap.open(pattern.expand(state.wanted, facts))
  update()
end

---Ends it, and gives it its name.
---@param path string
---@param facts table
---@return table? error if the capture is not complete
function M.end_unit(path, facts)
  local capture = state.captures[path]
  if not capture then return nil end
  state.captures[path] = nil
  update()
  return capture:close() or name_capture(capture, facts)
end

---Whether the bytes of requests are printed.
---@return boolean
function M.shows_bytes() return state.all_bytes end

---Whether a capture has the bytes of requests.
---@return boolean
function M.captures_bytes()
  return (state.capture ~= nil or state.has_units == true) and not pcap.blank
end

---Leaves firmware and serial numbers out of the capture.
function M.blank() pcap.blank = true end

---Called at the end of the run. Waits for boards that are being released, whose last requests
---belong to the trace.
---@return table? error if the capture is not complete
function M.finish()
  collectgarbage() -- closes unreachable boards
  local deadline = task.now() + RELEASE
  for path in pairs(state.places) do
    while dfu.is_closing(path) and task.now() < deadline do task.sleep(0.01) end
  end
  local capture = state.capture
  state.capture = nil
  update()
  return capture and (capture:close() or name_capture(capture))
end

-- trace() and trace(board) return the last requests; trace(true) turns printing on.
return setmetatable(M, { __call = function(_, what, n)
  if type(what) == "boolean" then return M.live(what) end
  return M.last(what, n)
end })

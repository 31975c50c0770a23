-- SPDX-License-Identifier: MIT
-- Sends the requests of a capture to a simulated board, and tells where the answers differ.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local files = require "moonflash.base.files"
local replays = require "moonflash.sim.replay"
local shown = require "moonflash.base.shown"
local sim = require "sim"
local task = require "task"
local text = require "moonflash.base.text"

local MOST_SHOWN = 20 -- differences
local NAMES = { [0] = "DETACH", "DNLOAD", "UPLOAD", "GETSTATUS", "CLRSTATUS", "GETSTATE", "ABORT" }
local CLASS = 0x20

local function name_of(r)
  if r.type & 0x60 == CLASS and NAMES[r.request] then
    return ("%s %d, %s"):format(NAMES[r.request], r.value, text.count(r.length, "byte"))
  end
  return ("request %02X %02X %04X, %s"):format(r.type, r.request, r.value,
    text.count(r.length, "byte"))
end

-- Whether a request can be sent again: class requests, and reading strings. The descriptors of a
-- simulated board are made anew.
local function is_sent(r)
  return r.type & 0x60 == CLASS or r.type == 0x80 and r.request == 6 and r.value >> 8 == 3
end

local function answer_of(bytes)
  if not bytes then return "refused" end
  if #bytes == 0 then return "accepted" end
  return text.bytes(bytes:sub(1, 16)) .. (#bytes > 16 and " ..." or "")
end

-- Sends a recorded request at its time. Returns what came, or nil.
local function send(board, r)
  local is_in = r.type & 0x80 ~= 0
  local got, err = errors.catch("dfu", board.control, board, r.type, r.request, r.value, r.index,
    is_in and r.length or r.data, { irreversible = true })
  if err then return nil end
  return is_in and got or ""
end

-- The board leaves DFU mode with this request: what follows belongs to another device.
local function has_left(r)
  return r.type == 0xA1 and r.request == 3 and #r.data == 6 and r.data:byte(5) == 7
end

---@param kind string of a simulated board
---@param file string a capture
---@return table { requests=, differences=, recorded=, simulated= } that prints as text
return function(kind, file)
  local replay, why = replays.read(files.read(file, replays.MOST_FILE))
  if not replay then
    errors.raise { code = "usage", message = ("%s %s"):format(file, why) }
  end
  local place <close> = sim.new(kind)
  local board <close> = dfu.open(place.path)
  local list, count, recorded, simulated = {}, 0, 0, 0
  local began, zero = task.now(), replay.devices[1].transfers[1].at
  local phase = events.phase(board, "compare", #replay.devices[1].transfers, "requests")
  for _, r in ipairs(replay.devices[1].transfers) do
    if is_sent(r) then
      local early = began + r.at - zero - task.now()
      if early > 0 then task.sleep(early) end
      local started = task.now()
      local got = send(board, r)
      count, recorded, simulated = count + 1, recorded + r.seconds, simulated + task.now() - started
      local wanted = r.result >= 0 and (r.type & 0x80 ~= 0 and r.data or "") or nil
      if got ~= wanted then
        list[#list + 1] = { request = name_of(r), at = r.at, recorded = answer_of(wanted),
                            simulated = answer_of(got) }
      end
      if has_left(r) then break end
    end
    phase:advance(1)
  end
  phase:finish()
  local result = shown.as({ requests = count, differences = list, recorded = recorded,
                    simulated = simulated }, function(data)
    local lines = {}
    for i = 1, math.min(#list, MOST_SHOWN) do
      local d = list[i]
      lines[#lines + 1] = ("%8.4f s  %s\n  recorded   %s\n  sim:%-6s %s"):format(d.at, d.request,
        d.recorded, kind, d.simulated)
    end
    if #list > MOST_SHOWN then lines[#lines + 1] = ("and %d more"):format(#list - MOST_SHOWN) end
    lines[#lines + 1] = ("%s, %s; they took %.3f s, here %.3f s."):format(
      text.count(data.requests, "request"), #list == 0 and "all answers are the same"
      or text.count(#list, "answer") .. (#list == 1 and " differs" or " differ"), recorded,
      simulated)
    return table.concat(lines, "\n")
  end)
  return result
end

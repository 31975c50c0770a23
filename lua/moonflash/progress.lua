-- SPDX-License-Identifier: MIT
-- What a run shows while it goes on: bars on a terminal, a line at the end elsewhere, JSON for
-- programs. The library tells of phases and events; this decides what is seen.
local json = require "dkjson"
local suggest = require "moonflash.suggest"
local sys = require "sys"
local task = require "task"
local text = require "moonflash.text"

local M = {}

local BAR = 28          -- cells
local REDRAW = 0.04     -- seconds between two pictures of a bar
local FULL, EMPTY = "█", "░"

-- mode: "bars", "lines", "json" or "quiet"
local state = { mode = "lines", several = false, bar = nil }

local function stderr(s)
  io.stderr:write(s)
end

local function is_dumb()
  local term = os.getenv("TERM")
  return term == nil or term == "dumb"
end

---Decides how things are shown.
---@param options table json, quiet: booleans
function M.start(options)
  state.bar = nil
  state.several = false
  if options.json then
    state.mode = "json"
  elseif options.quiet then
    state.mode = "quiet"
  elseif sys.is_terminal(2) and not is_dumb() and not os.getenv("NO_COLOR") then
    state.mode = "bars"
  else
    state.mode = "lines"
  end
end

---While it is muted, nothing is shown at all.
---@param muted boolean
function M.mute(muted)
  if muted and state.mode ~= "mute" then
    state.before, state.mode = state.mode, "mute"
  elseif not muted and state.before then
    state.mode = state.before
  end
end

---Several boards at once: no bars, and each line says whose it is.
function M.set_several()
  state.several = true
  if state.mode == "bars" then state.mode = "lines" end
end

local function board_now()
  return task.tag()
end

local function clear_bar()
  if state.bar and state.bar.drawn then stderr("\r\27[K") end
end

local function draw(bar, last)
  local share = bar.total > 0 and math.min(bar.done / bar.total, 1) or 1
  local width = math.max(8, math.min(BAR, sys.columns() - 48))
  local full = math.floor(share * width + 0.5)
  local spent = task.now() - bar.started
  local left = not last and share > 0 and spent * (1 - share) / share
  local amount, rate
  if bar.unit == "bytes" then
    amount = text.size(bar.done)
    rate = spent > 0 and text.size(bar.done / spent) .. "/s" or ""
  else
    amount, rate = text.count(bar.done, bar.unit), ""
  end
  stderr(("\r  %-7s %s%s  %-10s %10s %8s\27[K%s"):format(bar.name, FULL:rep(full),
    EMPTY:rep(width - full), amount, rate,
    left and text.seconds(left) .. " left" or text.seconds(spent), last and "\n" or ""))
  bar.drawn, bar.drawn_at = not last, task.now()
end

---Prints a line for a person, above the bar.
---@param line string
function M.print(line)
  if state.mode == "quiet" or state.mode == "mute" then return end
  clear_bar()
  local board = state.several and board_now()
  stderr((board and board.path .. ": " or "") .. line .. "\n")
  if state.bar and state.mode == "bars" then draw(state.bar) end
end

---A line that only somebody who watches wants.
---@param line string
function M.note(line)
  if state.mode == "bars" then M.print(line) end
end

-- The keys that come first; the rest follows by name, so that a line is always the same.
local FIRST = { "event", "path", "slot", "outcome", "code", "phase", "done", "total" }

local function collect_keys(value, keys)
  for key, item in pairs(value) do
    if type(key) == "string" then keys[key] = true end
    if type(item) == "table" then collect_keys(item, keys) end
  end
  return keys
end

local function key_order(event)
  local order = table.move(FIRST, 1, #FIRST, 1, {})
  local keys = collect_keys(event, {})
  for _, key in ipairs(FIRST) do keys[key] = nil end
  for _, key in ipairs(suggest.keys(keys)) do order[#order + 1] = key end
  return order
end

-- What a recipe returns may be anything; what JSON has no word for is left out as text.
local function as_text(_, value)
  return json.encode(tostring(value))
end

---An event for programs.
---@param event table
function M.event(event)
  if state.mode ~= "json" then return end
  io.stdout:write(json.encode(event, { keyorder = key_order(event), exception = as_text }), "\n")
  io.stdout:flush()
end

---Begins a phase.
---@param board table
---@param name string
---@param total integer
---@param unit string "bytes", or the name of what is counted
---@return table phase :advance(n), :finish()
function M.phase(board, name, total, unit)
  local bar = { name = name, total = total, unit = unit, done = 0, started = task.now(),
                drawn_at = -1 }
  local function tell()
    M.event { event = "progress", path = board.path, phase = name, done = bar.done, total = total }
  end
  if state.mode == "bars" then
    state.bar = bar
    draw(bar)
  else
    tell()
  end
  local phase = {}
  function phase.advance(_, n)
    bar.done = bar.done + n
    if task.now() - bar.drawn_at < REDRAW then return end
    bar.drawn_at = task.now()
    if state.mode == "bars" then draw(bar) else tell() end
  end
  function phase.finish()
    if state.mode == "bars" then
      draw(bar, true)
      state.bar = nil
    else
      tell()
    end
  end
  return phase
end

-- A bar that something went wrong under stays as it was.
local function leave_bar()
  if state.bar and state.bar.drawn then stderr("\n") end
  state.bar = nil
end

local function done_text(stats)
  local parts = {}
  if stats.sectors_erased > 0 then
    parts[#parts + 1] = "erased " .. text.count(stats.sectors_erased, "sector")
  end
  if stats.bytes_written > 0 then parts[#parts + 1] = "wrote " .. text.size(stats.bytes_written) end
  if stats.sectors_same then
    parts[#parts + 1] = text.count(stats.sectors_same, "sector") .. " the same"
  end
  if stats.verified then parts[#parts + 1] = "verified" end
  if stats.unverified then parts[#parts + 1] = "NOT VERIFIED (" .. stats.unverified .. ")" end
  if stats.left == true then
    parts[#parts + 1] = "left"
  elseif stats.left then
    parts[#parts + 1] = "left for " .. text.hex(stats.left)
  end
  return table.concat(parts, ", ")
end

-- What comparing first has saved, if it is worth a word.
local function saved_text(stats)
  local saved = stats.seconds_saved or 0
  return saved >= 1 and ("about %.0f s saved"):format(saved)
end

local function last_sentence(stats)
  local checked = stats.verified and "Verified. "
    or stats.unverified and "NOT VERIFIED: " .. stats.unverified .. ". " or ""
  if stats.left == true then
    return checked .. "The board left DFU mode, to run its program."
  elseif stats.left then
    return checked .. ("Told to start the program at %s; the board left."):format(
      text.hex(stats.left))
  elseif stats.bytes_written > 0 or stats.sectors_same then
    return (stats.bytes_written == 0 and "It was there already. " or checked)
      .. "Still in DFU mode: 'moonflash leave' starts it, or BOOT0 low and reset."
  end
  return checked .. "Done."
end

---The last words about a board that passed. Nothing where nothing was done to it.
---@param board table
---@param stats table
---@param seconds number
function M.passed(board, stats, seconds)
  leave_bar()
  local done = done_text(stats)
  if state.mode == "json" or done == "" then return end
  if state.mode == "quiet" then
    if stats.unverified then stderr("not verified: " .. stats.unverified .. "\n") end
    return
  end
  local remarks = {}
  remarks[1] = saved_text(stats) or nil
  if board.retries > 0 then
    remarks[#remarks + 1] = text.count(board.retries, "request") .. " sent again"
  end
  if #remarks > 0 then done = ("%s (%s)"):format(done, table.concat(remarks, ", ")) end
  if state.mode == "bars" then
    stderr(("%-68s %8s\n"):format(last_sentence(stats), text.seconds(seconds)))
    if stats.sectors_same or saved_text(stats) then stderr(done .. ".\n") end
    if board.retries > 0 then
      stderr(text.count(board.retries, "request") .. " had to be sent again. Is the cable good?\n")
    end
  else
    stderr(("%s%s: %s\n"):format(state.several and board.path .. ": " or "", done,
      text.seconds(seconds)))
  end
end

---The last words about what failed.
---@param message string one line or more
function M.failed(message)
  leave_bar()
  stderr("moonflash: " .. message .. "\n")
end

---@return boolean
function M.is_json()
  return state.mode == "json"
end

return M

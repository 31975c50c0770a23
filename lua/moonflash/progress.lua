-- SPDX-License-Identifier: MIT
-- What a run shows while it goes on: bars on a terminal, a line at the end elsewhere, JSON for
-- programs. The library tells of phases and events; this decides what is seen.
local errors = require "moonflash.errors"
local json = require "dkjson"
local output = require "moonflash.output"
local roms = require "moonflash.roms"
local rows = require "moonflash.rows"
local slots = require "moonflash.slots"
local suggest = require "moonflash.suggest"
local sys = require "sys"
local task = require "task"
local text = require "moonflash.text"

local M = {}

local BAR = 28          -- cells
local REDRAW = 0.04     -- seconds between two pictures of a bar
local SCREENFUL = 20    -- lines: what was said before these is out of sight
local FULL, EMPTY = "█", "░"

-- mode: "bars", "rows", "lines", "json" or "quiet"; said: lines; told: [board] = how many there
-- were when its failure was told; dropping: progress events are left out; disturbed:
-- something was said while a question was open; worked: the first board that had a bar, and whether
-- there was another
local state = { mode = "lines", several = false, bar = nil, question = nil, said = 0, told = {},
                worked = {}, dropping = false }

local function is_dumb()
  local term = os.getenv("TERM")
  return term == nil or term == "dumb"
end

---Decides how things are shown.
---@param options table json, quiet, trace: booleans
function M.start(options)
  state.bar = nil
  state.several = false
  state.said, state.told, state.worked = 0, {}, {}
  if options.json then
    state.mode = "json"
  elseif options.quiet then
    state.mode = "quiet"
  elseif not options.trace and sys.is_terminal(2) and not is_dumb()
    and not os.getenv("NO_COLOR") then
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

---Several boards at once: a row each instead of a bar, and each line says whose it is.
---@param boards table[]
function M.set_several(boards)
  state.several = true
  if state.mode == "bars" then
    state.mode = "rows"
    rows.begin(boards)
  end
end

---A board as a person calls it: its slot, or its path.
---@param board table
---@return string
function M.who(board) return board.slot or board.path end

local function of_several(board)
  return state.several and board and text.plain(M.who(board)) .. ": " or ""
end

-- A question that waits for its answer, where the answer will be typed.
local function show_question()
  output.say(state.question .. (sys.is_terminal(2) and " " or "\n"))
end

-- Whole lines. They go above a question that is open, which is asked again.
local function say(lines)
  local is_open = state.question and sys.is_terminal(2)
  state.disturbed = true
  state.said = state.said + select(2, lines:gsub("\n", ""))
  output.say((is_open and "\n" or "") .. lines)
  if is_open then show_question() end
end

local function clear_bar()
  if state.bar and state.bar.drawn then output.say("\r\27[K") end
end

local function share_of(bar)
  return bar.total > 0 and math.min(bar.done / bar.total, 1) or 1
end

local function draw(bar, last)
  if not last and (state.question or not output.may_draw()) then return end
  local share = share_of(bar)
  local who = state.worked.several and bar.who .. "  " or ""
  local width = math.max(8, math.min(BAR, sys.columns() - 48 - #who))
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
  local picture = ("\r  %s%-7s %s%s  %-10s %10s %8s\27[K%s"):format(who, bar.name, FULL:rep(full),
    EMPTY:rep(width - full), amount, rate,
    left and text.seconds(left) .. " left" or text.seconds(spent), last and "\n" or "")
  if last then say(picture) else output.say(picture) end
  bar.drawn, bar.drawn_at = not last, task.now()
end

local function print_above(lines)
  lines = text.plain(lines)
  if state.mode == "rows" and not state.question then return rows.print(lines) end
  clear_bar()
  say(lines .. "\n")
  if state.bar and state.mode == "bars" then draw(state.bar) end
end

---Prints a line for a person, above the bar.
---@param line string
function M.print(line)
  if state.mode == "quiet" or state.mode == "mute" then return end
  local board = task.tag()
  local who = of_several(board)
  print_above(who .. (who ~= "" and text.without_path(line, board.path) or line))
end

---Prints what went over the wire: who asks for that wants it with --quiet, too.
---@param lines string
function M.wire(lines)
  if state.mode ~= "mute" then print_above(lines) end
end

---A line that only somebody who watches wants.
---@param line string
function M.note(line)
  if state.mode == "bars" then M.print(line) end
end

---Asks the operator; until there is an answer, the last line is the question's.
---@param question string
function M.ask(question)
  local board = task.tag()
  M.event { event = "question", path = board and board.path, text = question }
  clear_bar()
  if state.bar then state.bar.drawn = false end
  question = of_several(board) .. question
  if state.mode == "rows" then rows.pause(question .. " ") end
  state.question, state.disturbed = question, false
  show_question()
end

-- Whether what is typed appears where the question stands: a barcode reader may have a terminal of
-- its own.
local function is_echoed()
  return sys.is_terminal(0)
    and sys.readlink("/proc/self/fd/0") == sys.readlink("/proc/self/fd/2")
end

---Who keeps count of where the cursor stands, hears of a line that was typed there.
---@param f? function
function M.on_typed(f) state.on_typed = f end

---It was answered, or given up.
---@param answer? string
---@param typed? boolean behind the question, with the new line that ends it
function M.answered(answer, typed)
  local question = state.question
  state.question = nil
  local echoed = typed and is_echoed()
  if echoed and state.on_typed then state.on_typed() end
  if sys.is_terminal(2) and not echoed then output.say("\n") end
  if state.mode == "rows" then
    rows.resume(question .. " " .. (answer or ""), not state.disturbed)
  end
  if state.bar and state.mode == "bars" then draw(state.bar) end
end

-- The keys that come first; the rest follows by name, so that a line is always the same.
local FIRST = { "event", "path", "slot", "outcome", "code", "phase", "done", "total" }

local function collect_keys(value, keys, seen)
  seen[value] = true
  for key, item in pairs(value) do
    if type(key) == "string" then keys[key] = true end
    if type(item) == "table" and not seen[item] then collect_keys(item, keys, seen) end
  end
  return keys
end

local function key_order(event)
  local order = table.move(FIRST, 1, #FIRST, 1, {})
  local keys = collect_keys(event, {}, {})
  for _, key in ipairs(FIRST) do keys[key] = nil end
  for _, key in ipairs(suggest.keys(keys)) do order[#order + 1] = key end
  return order
end

-- What a recipe returns may be anything; what JSON has no word for becomes text.
local function as_text(reason, value)
  return json.encode(reason == "reference cycle" and "<the same again>" or errors.words(value))
end

local function encode(event)
  return json.encode(event, { keyorder = key_order(event), exception = as_text })
end

-- Data that can't be encoded (tables too deep in each other, say) becomes text, too.
local function write_event(event)
  local encoded, line = pcall(encode, event)
  if not encoded then
    event.data = errors.words(event.data)
    line = encode(event)
  end
  output.raw(io.stdout, text.json(line) .. "\n")
  io.stdout:flush()
end

-- Whether an event is left out: progress, while the reader of standard output has fallen behind. An
-- event "dropping" tells where that begins.
local function is_dropped(event)
  if event.event ~= "progress" then return false end
  local dropping = sys.backlog(1) > 0
  if dropping and not state.dropping then write_event { event = "dropping" } end
  state.dropping = dropping
  return dropping
end

---An event for programs.
---@param event table
function M.event(event)
  if state.mode ~= "json" or is_dropped(event) then return end
  if event.path then event.slot = slots.name_of(event.path) end
  write_event(event)
end

-- What a recipe or a board calls something, as a part of a line.
local function one_line(s)
  return (text.plain(s):gsub("%s", " "))
end

---A step of the recipe begins.
---@param board table
---@param name string
function M.step(board, name)
  name = one_line(name)
  if state.mode == "rows" then
    rows.update(board, name)
  elseif state.mode == "bars" or state.several then
    M.print("step " .. name)
  end
end

---A measurement was taken.
---@param board table
---@param note table
---@param value string for people
function M.note_taken(board, note, value)
  M.event { event = "note", path = board.path, name = note.name, value = note.value,
            unit = note.unit, min = note.min, max = note.max, ok = note.ok }
  if state.mode ~= "json" then M.print(one_line(("%s: %s"):format(note.name, value))) end
end

---Begins a phase.
---@param board table
---@param name string
---@param total integer
---@param unit string "bytes", or the name of what is counted
---@return table phase :advance(n), :finish()
function M.phase(board, name, total, unit)
  local bar = { who = M.who(board), name = name, total = total, unit = unit, done = 0,
                started = task.now(), drawn_at = -1 }
  state.worked.first = state.worked.first or bar.who
  if bar.who ~= state.worked.first then state.worked.several = true end
  local function tell()
    M.event { event = "progress", path = board.path, phase = name, done = bar.done, total = total }
  end
  local function show(last)
    if state.mode == "bars" then
      draw(bar, last)
    elseif state.mode == "rows" then
      rows.update(board, name, share_of(bar))
    else
      tell()
    end
  end
  if state.mode == "bars" then state.bar = bar end
  show()
  local phase = {}
  function phase.advance(_, n)
    bar.done = bar.done + n
    if task.now() - bar.drawn_at < REDRAW then return end
    bar.drawn_at = task.now()
    show()
  end
  function phase.finish()
    show(true)
    state.bar = nil
  end
  return phase
end

---A bar that something went wrong under stays as it was; what is written next, goes below.
function M.leave_bar()
  if state.bar and state.bar.drawn then output.say("\n") end
  state.bar = nil
end

-- Whether a part of what was written is verified, and a part is not.
local function is_partly_verified(stats)
  return (stats.bytes_unverified or 0) > 0 and stats.bytes_unverified < stats.bytes_written
end

local function done_text(stats)
  local parts = {}
  if stats.sectors_erased > 0 then
    parts[#parts + 1] = "erased " .. text.count(stats.sectors_erased, "sector")
  end
  if is_partly_verified(stats) then
    parts[#parts + 1] = ("wrote %s; %s of it NOT VERIFIED (%s)"):format(
      text.size(stats.bytes_written), text.size(stats.bytes_unverified), stats.unverified)
  elseif stats.bytes_written > 0 then
    parts[#parts + 1] = "wrote " .. text.size(stats.bytes_written)
  end
  if stats.bytes_skipped > 0 then -- the rest of these is as erasing leaves it
    parts[#parts + 1] = "skipped " .. text.size(stats.bytes_skipped) .. (stats.sectors_same
      and (" (%s the same)"):format(text.count(stats.sectors_same, "sector")) or "")
  end
  if stats.verified then parts[#parts + 1] = "verified" end
  if stats.unverified and not is_partly_verified(stats) then
    parts[#parts + 1] = "NOT VERIFIED (" .. stats.unverified .. ")"
  end
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

local function last_sentence(board, stats)
  local checked = stats.verified and "Verified. "
    or is_partly_verified(stats) and ("%s of the written data is NOT VERIFIED (%s). "):format(
      text.size(stats.bytes_unverified), stats.unverified)
    or stats.unverified and "NOT VERIFIED: " .. stats.unverified .. ". " or ""
  if stats.left == true then
    return checked .. "The board left DFU mode, to run its program."
  elseif stats.left then
    return checked .. ("Told to start the program at %s; the board left."):format(
      text.hex(stats.left))
  elseif stats.bytes_written > 0 or stats.sectors_same then
    return (stats.bytes_written == 0 and "It was there already. " or checked)
      .. "Still in DFU mode: 'moonflash leave' starts it"
      .. (roms.may_be(board) and ", or BOOT0 low and reset." or ".")
  end
  return checked .. "Done."
end

---The last words about a board that passed. Of one board, nothing where nothing was done to it.
---@param board table
---@param stats table
---@param seconds number
function M.passed(board, stats, seconds)
  M.leave_bar()
  local done = done_text(stats)
  if state.mode == "json" or state.mode == "mute" then return end
  if state.mode == "quiet" then
    if stats.unverified then
      local size = is_partly_verified(stats) and text.size(stats.bytes_unverified) .. " " or ""
      say(("%s: %sNOT VERIFIED (%s)\n"):format(text.plain(M.who(board)), size, stats.unverified))
    end
    return
  end
  if done == "" and not state.several then return end
  local remarks = {}
  remarks[1] = saved_text(stats) or nil
  if board.retries > 0 then
    remarks[#remarks + 1] = text.count(board.retries, "request") .. " sent again"
  end
  local remark = #remarks > 0 and (" (%s)"):format(table.concat(remarks, ", ")) or ""
  if state.mode == "rows" then
    rows.result(board, "PASS", ("%s  %s%s"):format(text.seconds(seconds), done, remark))
  elseif state.mode == "bars" then
    say(("%-68s %8s\n"):format(last_sentence(board, stats), text.seconds(seconds)))
    if stats.bytes_skipped > 0 or saved_text(stats) then say(done .. remark .. ".\n") end
    if board.retries > 0 then
      say(text.count(board.retries, "request") .. " had to be sent again. Is the cable good?\n")
    end
  else
    done = done == "" and "PASS" or done
    say(("%s%s%s: %s\n"):format(of_several(board), done, remark, text.seconds(seconds)))
  end
end

---What the recipe's run returned for a board: standard output's, and of several boards it says
---whose it is.
---@param board table
---@param value any
function M.returned(board, value)
  if state.mode == "json" then return end
  local words = text.plain(of_several(board) .. errors.words(value))
  if state.mode == "rows" and sys.is_terminal(1) then
    print_above(words)
  else
    io.stdout:write(words, "\n")
  end
end

-- Whose failure it is, of several boards; most messages have the path.
local function whose(message, board)
  if not state.several or not board then return "" end
  if board.slot then return board.slot .. ": " end
  return text.without_path(message, board.path) == message and board.path .. ": " or ""
end

---The last words about what failed.
---@param message string one line or more
---@param board? table whose failure it is
---@param outcome? string
function M.failed(message, board, outcome)
  if state.mode == "mute" then return end
  M.leave_bar()
  message = text.plain(message)
  print_above(("moonflash: %s%s"):format(whose(message, board), message))
  if not board or not outcome then return end
  state.told[board] = state.said
  if state.mode == "rows" then
    rows.result(board, outcome, text.without_path(message, board.path))
  end
end

-- The first line of why a board failed.
local function reason(result)
  if errors.matches(result.err, "exit") then return "exit " .. errors.exit_status(result.err) end
  local message = text.without_path(text.plain(errors.said(result.err)), result.board.path)
  return message:match("[^\n]*")
end

-- Why they failed, as the last word on them: in their rows; or as lines, unless all the messages
-- can still be seen.
local function tell_again(failed)
  local out_of_sight = false
  for _, result in ipairs(failed) do
    if state.mode == "rows" then rows.result(result.board, result.outcome, reason(result)) end
    local told = state.told[result.board]
    out_of_sight = out_of_sight or not told or state.said - told > SCREENFUL
  end
  if state.mode == "rows" or not out_of_sight then return end
  local columns = sys.is_terminal(2) and sys.columns() - 1 or math.maxinteger
  for _, result in ipairs(failed) do
    local line = ("  %s: %s: %s"):format(M.who(result.board), result.outcome, reason(result))
    say(text.cut(line, columns) .. "\n")
  end
end

---The last lines of a run on several boards.
---@param results table[]
---@param failure? boolean something else failed
function M.summary(results, failure)
  if not state.several or state.mode == "json" or state.mode == "mute" then return end
  local failed, names = {}, {}
  for _, result in ipairs(results) do
    if result.outcome ~= "PASS" then
      failed[#failed + 1], names[#names + 1] = result, M.who(result.board)
    end
  end
  tell_again(failed)
  if state.mode == "rows" then
    rows.finish()
    state.mode = "bars" -- what comes now, goes below the rows
  end
  if #failed > 0 then
    say(("%d of %d boards did not pass: %s\n"):format(#failed, #results,
      table.concat(names, ", ")))
  elseif state.mode ~= "quiet" and not failure then
    say(("%d boards passed.\n"):format(#results))
  end
end

---@return boolean
function M.is_json()
  return state.mode == "json"
end

return M

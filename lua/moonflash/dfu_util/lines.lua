-- SPDX-License-Identifier: MIT
-- What dfu-util prints, as its callers read it (docs/dfu-util.md): the banner and the steps on
-- standard output, warnings on standard error, and progress bars that are drawn into a pipe, too.
local output = require "moonflash.ui.output"
local sys = require "sys"
local task = require "task"
local text = require "moonflash.base.text"

local M = {}

---A line on standard output. Strings of boards and files can't begin another one.
---@param format string
function M.out(format, ...)
  local values = table.pack(...)
  for i = 1, values.n do
    if type(values[i]) == "string" then values[i] = values[i]:gsub("%c", "?") end
  end
  M.end_bar()
  output.raw(io.stdout, text.plain(format:format(table.unpack(values, 1, values.n))) .. "\n")
end

---A line on standard error, with the program's name.
---@param program string
---@param message string
function M.warn(program, message)
  M.end_bar()
  output.raw(io.stderr, text.plain(program .. ": " .. message) .. "\n")
end

---Lines on standard error, as they are.
---@param lines string
function M.say(lines)
  output.raw(io.stderr, lines)
end

-- ---- bars ----

local WIDTH = 25 -- characters between the brackets

local drawn -- the bar on the last line: { name=, filled=, at= }

---Ends the line of a bar that is not full.
function M.end_bar()
  if drawn then output.raw(io.stdout, "\n") end
  drawn = nil
end

---Draws a bar, if it looks other than before, or a second has passed.
---@param name string "Download"
---@param done integer bytes
---@param total integer bytes
function M.bar(name, done, total)
  local share = total > 0 and math.min(done / total, 1) or 1
  local filled = math.floor(share * WIDTH)
  if drawn and drawn.name == name and drawn.filled == filled and task.now() - drawn.at < 1 then
    return
  end
  if drawn and drawn.name ~= name then M.end_bar() end
  output.raw(io.stdout, ("\r%s\t[%s%s] %3d%% %12d bytes"):format(name, ("="):rep(filled),
    (" "):rep(WIDTH - filled), math.floor(share * 100), done))
  drawn = { name = name, filled = filled, at = task.now() }
  if filled == WIDTH then
    output.raw(io.stdout, ("\n%s done.\n"):format(name))
    drawn = nil
  end
end

-- Phases of the library, and the bars that dfu-util has for them. Its names are padded.
local BARS = { "Erase   ", "Download" }
local BAR_OF = { erase = 1, write = 2 }

---A subscriber that shows a download: the bars for erasing and for writing, one after the other,
---both for all bytes of the file, and remarks on standard error.
---@param bytes integer of the file
---@param verbose boolean no bars
---@param plain? boolean plain DFU: nothing is erased
---@return table subscriber, with finish()
function M.download(bytes, verbose, plain)
  local shown = {}
  local at = plain and 1 or 0 -- bars that are full
  local function show(i, done)
    if verbose or i <= at then return end
    while at + 1 < i do
      at = at + 1
      M.bar(BARS[at], bytes, bytes)
    end
    M.bar(BARS[i], done, bytes)
    if done >= bytes then at = i end
  end
  local function advance(_, phase)
    local i = BAR_OF[phase.name]
    if not i then return end
    local share = phase.total > 0 and math.min(phase.done / phase.total, 1) or 1
    show(i, math.min(math.floor(share * bytes), bytes - 1)) -- finish() fills it: an erase may go on
  end
  shown.phase, shown.advance = advance, advance
  function shown.phase_end(_, phase)
    if phase.name == "write" then show(2, bytes) end
  end
  function shown.sector(_, _, sector, phase)
    if verbose and phase == "erase" then
      M.say(("Erasing page size %d at address 0x%08x\n"):format(sector.size, sector.address))
    end
  end
  function shown.remark(_, _, name, facts)
    M.warn("dfu-util", require("moonflash.ui.words").remark(name, facts))
  end
  function shown.finish()
    show(2, bytes)
  end
  return shown
end

-- ---- the banner ----

---Programs read the first line of the banner; the second says who is at work.
---@param first string "dfu-util 0.11"
function M.banner(first)
  M.out("%s", first)
  M.out("moonflash %s, in its place: report bugs to moonflash", sys.versions().moonflash)
end

return M

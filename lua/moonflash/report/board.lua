-- SPDX-License-Identifier: MIT
-- The section of one board in a report: its identity, the counts, its messages and its memories.
local dfu = require "dfu"
local facts = require "moonflash.report.facts"
local html = require "moonflash.report.html"
local parts = require "moonflash.report.tables"
local picture = require "moonflash.report.picture"
local step_parts = require "moonflash.report.steps"
local text = require "moonflash.base.text"

local M = {}

local code, el = parts.code, html.element

local ALONE, AMONG = 640, 420 -- the height of a memory: for a single board, and for one of several
local MOST_ROWS = 32          -- of a table, before equal sectors share a row

local function key_of(class)
  return el("span", { class = "key " .. class })
end

local function name_of(board)
  return board.product or board.vid and "A board without a name" or "No board was opened"
end

---A board's slot, if it has one, and its path.
---@param board table
---@param path table markup
---@return table markup
function M.place_of(board, path)
  return { board.slot and { el("strong", nil, board.slot), " " } or false, path }
end

local function ids_of(board)
  return board.vid and ("%04x:%04x"):format(board.vid, board.pid)
end

-- The counts of a run as a list.
local function numbers(result)
  local stats, fields = result.stats, dfu.fields(result.board)
  local plan = fields.job.plan or {}
  local function size_or_nothing(bytes) return bytes > 0 and text.size(bytes) end
  return parts.descriptions {
    { "Erased", stats.sectors_erased > 0 and text.count(stats.sectors_erased, "sector")
      .. (plan.seconds_mass and ", by a mass erase of " .. picture.seconds(plan.seconds_mass)
        or "") },
    { "Written", size_or_nothing(stats.bytes_written) },
    { "Skipped", stats.bytes_skipped > 0 and text.size(stats.bytes_skipped)
      .. (stats.sectors_same and (", %s the same"):format(text.count(stats.sectors_same, "sector"))
        or "") },
    { "Verified", stats.unverified and el("strong", nil, "NOT VERIFIED: ", stats.unverified)
      or size_or_nothing(stats.bytes_verified) },
    { "Left", stats.left and (stats.left == true and "to run its program"
      or { "to start the program at ", code(text.hex(stats.left)) }) },
    { "Time", text.seconds(result.seconds) .. (plan.seconds -- there is no plan without an image
      and (", planned %s"):format(text.seconds(plan.seconds)) or "") },
    { "Saved", stats.seconds_saved and stats.seconds_saved >= 0.1
      and ("about %s, by comparing first"):format(text.seconds(stats.seconds_saved)) },
    { "Sent again", result.board.retries > 0 and text.count(result.board.retries, "request") },
  }
end

local function identity(board)
  local fields = dfu.fields(board)
  return parts.descriptions {
    { "Place", { M.place_of(board, code(board.path)),
      board.path:find("^sim:") and " (simulated)" } },
    { "USB ids", ids_of(board) and { code(ids_of(board)),
      board.version and (", version %x.%02x"):format(board.version >> 8, board.version & 0xFF) } },
    { "Serial number", board.serial and code(board.serial) },
    { "Manufacturer", board.manufacturer },
    { "Found in", board.found_state },
    { "Family", fields.part and fields.part.family },
  }
end

-- The layout strings of a board. They are long, and are given the whole width.
local function layout(board)
  local lines = {}
  for i, alt in ipairs(dfu.fields(board).alts) do
    lines[i] = el("div", nil, ("%d: "):format(alt.number), code(alt.name))
  end
  return #lines > 0 and el("div", { class = "layout" },
    parts.descriptions { { "Layout", lines } })
end

local function row_of(thing, dry, seconds)
  local row = {
    code(text.hex(thing.address)), picture.size_of(thing),
    el("span", { class = "nowrap" }, key_of(thing.fate), picture.fate_words(thing.fate, dry)),
    thing.image and thing.image > 0 and text.size(thing.image) or "",
    thing.verified and (thing.verified == thing.image and "yes" or thing.verified > 0 and "in part"
      or "no") or "",
  }
  for i, phase in ipairs { "compare", "erase", "write", "verify" } do
    local spent = seconds(phase)
    row[5 + i] = spent and ("%.2f"):format(spent) or ""
  end
  return row
end

local HEADS = { "From", "#Size", "What happened", "#Image", "Verified", "#compare", "#erase",
                "#write", "#verify" }

local function rows_of_runs(memory, dry)
  local rows = {}
  for i, run in ipairs(memory.runs) do
    rows[i] = row_of(run, dry, function(phase) return facts.seconds(run, phase) end)
  end
  return rows
end

local function sum_up(group)
  for _, run in ipairs(group.runs) do
    group.image = (group.image or 0) + run.image
    if run.verified then group.verified = (group.verified or 0) + run.verified end
  end
end

local function rows_of_groups(memory, dry)
  local rows = {}
  for i, group in ipairs(facts.groups(memory.runs, function() return true end)) do
    sum_up(group)
    rows[i] = row_of(group, dry, function(phase)
      local total
      for _, run in ipairs(group.runs) do
        local spent = facts.seconds(run, phase)
        total = spent and (total or 0) + spent or total
      end
      return total
    end)
  end
  return rows
end

local function sector_table(memory, dry)
  local rows = rows_of_runs(memory, dry)
  if #rows <= MOST_ROWS then return parts.data_table(HEADS, rows) end
  return { parts.data_table(HEADS, rows_of_groups(memory, dry)),
    el("details", nil, el("summary", nil, "Each sector by itself"),
      parts.data_table(HEADS, rows)) }
end

local function legend(memory, dry)
  local used, items = {}, {}
  for _, run in ipairs(memory.runs) do used[run.fate] = true end
  for _, fate in ipairs(facts.order) do
    if used[fate] then
      local words = facts.fates[fate]
      items[#items + 1] = el("li", nil, key_of(fate), dry and words[3] or words[1])
    end
  end
  if facts.overlap(memory.claims, memory.runs[1].address, memory.runs[#memory.runs].last,
    "verified") > 0 then
    items[#items + 1] = el("li", nil, key_of("verified"),
      "the narrow strip: verified")
  end
  if #memory.pieces > 0 then
    items[#items + 1] = el("li", nil, key_of("image"), "the image's segments")
  end
  return el("ul", { class = "legend" }, items)
end

local function memory_part(memory, run)
  local drawing, untrue = picture.memory(memory, #run.results > 1 and AMONG or ALONE, run.dry)
  return {
    el("h3", nil, memory.name),
    el("div", { class = "sides" },
      el("div", { class = "drawn" }, drawing),
      el("div", { class = "told" }, legend(memory, run.dry),
        el("p", { class = "note" }, untrue
          and ("Heights are to scale, but what is smaller than %s is drawn larger."):format(
            text.size(untrue // 1)) or "Heights are to scale.",
          " Long untouched runs are cut short.",
          " Times are seconds; in the picture, of all that was done to a sector."),
        sector_table(memory, run.dry))),
  }
end

-- The option bytes that were changed, by name.
local function options_part(result, dry)
  local changes = result.stats.options
  if not changes then return false end
  local rows = {}
  for i, change in ipairs(changes) do
    rows[i] = { code(change.name), code(change.from), code(change.to), change.meaning or "" }
  end
  return { el("h3", nil, dry and "Option bytes that would be changed" or "Option bytes"),
    parts.data_table({ "Name", "Before", "After", "Meaning" }, rows) }
end

local function data_text(data)
  if type(data) == "string" then return data end
  local meta = type(data) == "table" and getmetatable(data)
  return meta and meta.__tostring and tostring(data)
end

---@param result table from run.on_board
---@param run table see page.make
---@param number integer
---@return table markup
function M.make(result, run, number)
  local board = result.board
  local data = data_text(result.data)
  local memories = {}
  for i, memory in ipairs(facts.memories(result, run.dry)) do
    memories[i] = memory_part(memory, run)
  end
  local class = #run.results == 1 and "card board only" or "card board"
  return el("section", { class = class, id = "board-" .. number },
    el("div", { class = "title" }, parts.badge(result, run.dry), el("h2", nil, name_of(board)),
      el("p", { class = "quiet" }, M.place_of(board, code(board.path)))),
    result.err ~= nil and #run.results > 1 and parts.failure(result.err),
    parts.failures(result.at_end),
    data and el("pre", nil, data),
    el("div", { class = "sides" },
      el("div", { class = "half" }, numbers(result), step_parts.steps(result)),
      el("div", { class = "half" }, identity(board))),
    layout(board),
    step_parts.notes(result), options_part(result, run.dry), memories)
end

return M

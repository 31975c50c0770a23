-- SPDX-License-Identifier: MIT
-- The page of a report: what was asked for, what came of it, and each board with its memories.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local facts = require "moonflash.report.facts"
local html = require "moonflash.report.html"
local picture = require "moonflash.report.picture"
local style = require "moonflash.report.style"
local sys = require "sys"
local text = require "moonflash.text"

local M = {}

local el = html.element

local ALONE, AMONG = 640, 420 -- the height of a board's memory: of the only board, of one of many
local MOST_ROWS = 32          -- of a table, before sectors that are alike share a row

-- ---- small parts ----

local function code(value)
  return el("code", nil, value)
end

-- A list of { name, value, ... }; those without a value are left out.
local function descriptions(rows)
  local items = {}
  for _, row in ipairs(rows) do
    if row[2] and row[2] ~= "" then
      items[#items + 1] = { el("dt", nil, row[1]), el("dd", nil, row[2]) }
    end
  end
  return #items > 0 and el("dl", nil, items)
end

-- Heads that begin with a "#" are above numbers, which end on the right. On a small screen a row
-- is a few lines, and what stands below the first heads says its own.
local OWN_HEADS = 3

local function data_table(heads, rows)
  local tops, lines = {}, {}
  local numeric, words = {}, {}
  for i, head in ipairs(heads) do
    local mark
    mark, words[i] = head:match("^(#?)(.*)$")
    numeric[i] = mark ~= "" and "number" or nil
    tops[i] = el("th", { class = numeric[i], scope = "col" }, words[i])
  end
  for i, row in ipairs(rows) do
    local cells = {}
    for j = 1, #heads do
      cells[j] = el("td", { class = numeric[j], ["data-head"] = j > OWN_HEADS and words[j] },
        row[j])
    end
    lines[i] = el("tr", nil, cells)
  end
  return el("div", { class = "scroll" }, el("table", nil, el("thead", nil, el("tr", nil, tops)),
    el("tbody", nil, lines)))
end

local function key_of(class)
  return el("span", { class = "key " .. class })
end

-- ---- the outcome ----

-- How a result is told in a word or two, and how it looks.
local function verdict(result, dry)
  local stats = result.stats or {}
  if result.err ~= nil then
    local word = ({ TIMEOUT = "Timed out", ABORTED = "Aborted", ERROR = "Error" })[result.outcome]
    return word or "Failed", "bad", "✗"
  elseif dry then
    return "Dry run: nothing was changed", "warn", "–"
  elseif stats.unverified then
    return "Passed, NOT VERIFIED", "warn", "!"
  end
  return "Passed", "good", "✓"
end

local function badge(result, dry)
  local word, class, mark = verdict(result, dry)
  return el("span", { class = "badge " .. class }, mark .. " " .. word)
end

local function failure(err)
  return el("pre", { class = "bad" }, errors.matches(err, "exit")
    and ("The recipe ended the run with exit status %s."):format(tostring(err.status))
    or errors.text(err))
end

-- What stands above all: of one board its own verdict, of several how many passed.
local function headline(run)
  if run.err ~= nil then return verdict(run, run.dry) end
  local failed, worst = 0, nil
  for _, result in ipairs(run.results) do
    if result.err ~= nil then failed = failed + 1 end
    if (result.stats or {}).unverified then worst = result end
  end
  local count = #run.results
  if failed > 0 and count > 1 then
    return ("%d of %d boards failed"):format(failed, count), "bad", "✗"
  end
  local word, class, mark = verdict(failed > 0 and run.results[1] or worst or run.results[1] or {},
    run.dry)
  return count > 1 and class == "good" and ("All %d boards passed"):format(count) or word,
    class, mark
end

-- ---- what was asked for ----

local function shown_value(arg, value)
  if arg.type == "address" then return text.hex(value) end
  if type(value) == "table" then return table.concat(value, " ") end
  return tostring(value)
end

-- Lines break between words and not within, but for words that are long.
local function unbroken(words)
  return el("code", { class = #words < 24 and "nowrap" }, words)
end

local function options_of(run)
  local set, off = {}, {}
  for _, arg in ipairs(run.args or {}) do
    local value = rawget(run.opt or {}, arg.field)
    if value == true then
      set[#set + 1] = arg.name
    elseif not value then
      off[#off + 1] = arg.name
    else
      set[#set + 1] = arg.name .. " " .. shown_value(arg, value)
        .. (value == arg.default and " (default)" or "")
    end
  end
  local items = {}
  for i, words in ipairs(set) do items[i] = { i > 1 and ", " or "", unbroken(words) } end
  if #off > 0 then
    items[#items + 1] = el("span", { class = "quiet" }, (#set > 0 and "; " or "") .. "not set: ")
    for i, words in ipairs(off) do
      items[#items + 1] = { i > 1 and ", " or "", el("span", { class = "quiet" }, unbroken(words)) }
    end
  end
  return #items > 0 and items
end

local function command_of(run)
  local items = {}
  for word in run.command:gmatch("%S+") do items[#items + 1] = { unbroken(word), " " } end
  return items
end

-- The images of a run: most often one, for all boards.
local function images_of(run)
  local images, seen = {}, {}
  for _, result in ipairs(run.results) do
    local image = dfu.fields(result.board).image
    if image and not seen[image] then
      seen[image] = true
      images[#images + 1] = image
    end
  end
  return images
end

local function file_table(image)
  local heads, rows = { "File", "Format", "#Size" }, {}
  for i, file in ipairs((image.files or {})[1] and image.files or { image }) do
    rows[i] = { file.name or image.name, file.format or "", text.size(file.size or 0),
      file.sha256 and el("code", { class = "long" }, file.sha256) }
    if file.sha256 then heads[4] = "SHA-256" end
  end
  return data_table(heads, rows)
end

local function segment_table(image)
  local heads, rows = { "Segment from", "to", "#Size" }, {}
  for i, segment in ipairs(image.segments) do
    rows[i] = { code(text.hex(segment.address)),
      code(text.hex(segment.address + #segment.bytes - 1)), text.size(#segment.bytes),
      segment.alt and tostring(segment.alt) }
    if segment.alt then heads[4] = "Alternate setting" end
  end
  return data_table(heads, rows)
end

local function image_part(image)
  return { file_table(image), segment_table(image),
    image.start and el("p", { class = "quiet" }, "It starts at ", code(text.hex(image.start)),
      ".") }
end

local function images_part(run)
  local images = images_of(run)
  if #images == 0 then return false end
  local parts = {}
  for i, image in ipairs(images) do parts[i] = image_part(image) end
  return el("section", { class = "card" }, el("h2", nil, #images == 1 and "The image"
    or "The images"), parts)
end

local function header(run)
  local word, class, mark = headline(run)
  local count = #run.results
  local err = run.err
  if err == nil and count == 1 then err = run.results[1].err end
  return el("header", { class = "card is-" .. class },
    el("p", { class = "name" }, "Report by moonflash"),
    el("h1", nil, mark .. " " .. word),
    el("p", { class = "quiet" }, ("%s%s, exit status %d"):format(
      count > 0 and text.count(count, "board") .. ", " or "", text.seconds(run.seconds),
      run.status)),
    err ~= nil and failure(err),
    descriptions {
      { "Command", command_of(run) },
      { "Recipe", run.summary and { run.name, ": ", run.summary } or run.name },
      { "Options", options_of(run) },
      { "Date", os.date("%Y-%m-%d %H:%M:%S %z", run.began) },
      { "moonflash", MOONFLASH_VERSION .. (sys.is_virtual() and ", on virtual time" or "") },
      { "Note", run.note },
    },
    run.text and el("pre", nil, run.text))
end

-- ---- one board ----

local function name_of(board)
  return board.product or "A board without a name"
end

local function ids_of(board)
  return board.vid and ("%04x:%04x"):format(board.vid, board.pid)
end

-- What was done in numbers.
local function numbers(result)
  local stats, fields = result.stats, dfu.fields(result.board)
  local plan = fields.plan or {}
  local function size_or_nothing(bytes) return bytes > 0 and text.size(bytes) end
  return descriptions {
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
    { "Time", text.seconds(result.seconds) .. (plan.seconds -- none was made: there is no image
      and (", planned %s"):format(text.seconds(plan.seconds)) or "") },
    { "Saved", stats.seconds_saved and stats.seconds_saved >= 0.1
      and ("about %s, by comparing first"):format(text.seconds(stats.seconds_saved)) },
    { "Sent again", result.board.retries > 0 and text.count(result.board.retries, "request") },
  }
end

local function identity(board)
  local fields = dfu.fields(board)
  local layouts = {}
  for i, alt in ipairs(fields.alts) do
    layouts[i] = el("div", nil, ("%d: "):format(alt.number), code(alt.name))
  end
  return descriptions {
    { "Place", { code(board.path), board.path:find("^sim:") and " (simulated)" } },
    { "USB ids", ids_of(board) and { code(ids_of(board)),
      board.version and (", version %x.%02x"):format(board.version >> 8, board.version & 0xFF) } },
    { "Serial number", board.serial and code(board.serial) },
    { "Manufacturer", board.manufacturer },
    { "Found in", board.found },
    { "Family", fields.part and fields.part.family },
    { "Layout", #layouts > 0 and layouts },
  }
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
  if #rows <= MOST_ROWS then return data_table(HEADS, rows) end
  return { data_table(HEADS, rows_of_groups(memory, dry)),
    el("details", nil, el("summary", nil, "Each sector by itself"), data_table(HEADS, rows)) }
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
          " Times are seconds; in the picture, of all that was done to a sector."),
        sector_table(memory, run.dry))),
  }
end

local function data_text(data)
  if type(data) == "string" then return data end
  local meta = type(data) == "table" and getmetatable(data)
  return meta and meta.__tostring and tostring(data)
end

local function board_part(result, run, number)
  local board = result.board
  local data = data_text(result.data)
  local parts = {}
  for i, memory in ipairs(facts.memories(result, run.dry)) do
    parts[i] = memory_part(memory, run)
  end
  local class = #run.results == 1 and "card board only" or "card board"
  return el("section", { class = class, id = "board-" .. number },
    el("div", { class = "title" }, badge(result, run.dry), el("h2", nil, name_of(board)),
      el("p", { class = "quiet" }, code(board.path))),
    result.err ~= nil and #run.results > 1 and failure(result.err),
    data and el("pre", nil, data),
    el("div", { class = "sides" }, el("div", { class = "half" }, numbers(result)),
      el("div", { class = "half" }, identity(board))),
    parts)
end

-- ---- several boards ----

local function overview(run)
  if #run.results < 2 then return false end
  local rows = {}
  for i, result in ipairs(run.results) do
    local board, stats = result.board, result.stats
    local main = facts.memories(result, run.dry)[1]
    rows[i] = {
      badge(result, run.dry), el("a", { href = "#board-" .. i }, code(board.path)),
      board.serial and code(board.serial) or "", main and picture.strip(main) or "",
      tostring(stats.sectors_erased), text.size(stats.bytes_written), text.seconds(result.seconds),
    }
  end
  return el("section", { class = "card" }, el("h2", nil, "The boards"),
    data_table({ "Result", "Place", "Serial number", "Memory", "#Sectors erased", "#Written",
                 "#Time" }, rows))
end

-- What the pictures share: the hatching of what is in doubt.
local SHARED = el("svg", { class = "defs", ["aria-hidden"] = "true" },
  el("defs", nil, el("pattern", { id = "hatch", width = 6, height = 6,
    patternUnits = "userSpaceOnUse", patternTransform = "rotate(45)" },
    el("rect", { id = "hatch-ground", width = 6, height = 6 }),
    el("path", { id = "hatch-line", d = "M0 0V6" }))))

M.BEGINNING = '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
  .. '<meta name="generator" content="moonflash'

---The whole page.
---@param run table results, command, name, seconds, status, began, dry; summary, args, opt; err,
---  outcome, text, note
---@return string
function M.make(run)
  local word = headline(run)
  local boards = {}
  for i, result in ipairs(run.results) do boards[i] = board_part(result, run, i) end
  return table.concat {
    M.BEGINNING, " ", html.escape(MOONFLASH_VERSION), '">',
    -- nothing is fetched and nothing is run, whatever stands in the page
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src ',
    '\'unsafe-inline\'"><meta name="viewport" content="width=device-width, initial-scale=1">',
    html.text(el("title", nil, ("moonflash: %s"):format(word))),
    "<style>", style, "</style></head><body>\n", html.text(SHARED),
    html.text(el("main", nil, header(run), overview(run), images_part(run), boards)),
    html.text(el("footer", nil, "Made by moonflash ", MOONFLASH_VERSION,
      ". 1 KB is 1024 bytes. Seconds are the board's.")),
    "</body></html>\n",
  }
end

return M

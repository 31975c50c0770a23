-- SPDX-License-Identifier: MIT
-- The page of a report: the command, the outcome, and each board.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local board_section = require "moonflash.report.board"
local facts = require "moonflash.report.facts"
local html = require "moonflash.report.html"
local parts = require "moonflash.report.tables"
local picture = require "moonflash.report.picture"
local style = require "moonflash.report.style"
local sys = require "sys"
local text = require "moonflash.base.text"

local M = {}

local code, el = parts.code, html.element

-- ---- the outcome ----

-- The headline: the verdict of a single board, or how many of several passed.
local function headline(run)
  if run.err ~= nil then return parts.verdict(run, run.dry) end
  local failed, worst = 0, nil
  for _, result in ipairs(run.results) do
    if result.err ~= nil then failed = failed + 1 end
    if (result.stats or {}).unverified then worst = result end
  end
  local count = #run.results
  if failed > 0 and count > 1 then
    return ("%d of %d boards failed"):format(failed, count), "bad", "✗"
  end
  local word, class, mark = parts.verdict(failed > 0 and run.results[1] or worst
    or run.results[1] or {}, run.dry)
  return count > 1 and class == "good" and ("All %d boards passed"):format(count) or word,
    class, mark
end

-- ---- the command ----

local function shown_value(arg, value)
  if arg.type == "address" then return text.hex(value) end
  if type(value) == "table" then return table.concat(value, " ") end
  return tostring(value)
end

-- Lines may break between words, and within long words.
local function unbroken(words)
  return el("code", { class = #words < 24 and "nowrap" }, words)
end

-- The options that were set.
local function options_of(run)
  local set = {}
  for _, arg in ipairs(run.args or {}) do
    local value = rawget(run.opt or {}, arg.field)
    if value == true then
      set[#set + 1] = arg.name
    elseif value and value ~= arg.default then
      set[#set + 1] = arg.name .. " " .. shown_value(arg, value)
    end
  end
  local items = {}
  for i, words in ipairs(set) do items[i] = { i > 1 and ", " or "", unbroken(words) } end
  return #items > 0 and items
end

local function command_of(run)
  local items = {}
  for word in run.command:gmatch("%S+") do items[#items + 1] = { unbroken(word), " " } end
  return items
end

-- The images of a run: usually one for all boards.
local function images_of(run)
  local images, seen = {}, {}
  for _, result in ipairs(run.results) do
    local image = dfu.fields(result.board).job.image
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
  return parts.data_table(heads, rows)
end

local function segment_table(image)
  local heads, rows = { "Segment from", "to", "#Size" }, {}
  for i, segment in ipairs(image.segments) do
    rows[i] = { code(text.hex(segment.address)),
      code(text.hex(segment.address + #segment.bytes - 1)), text.size(#segment.bytes),
      segment.alt and tostring(segment.alt) }
    if segment.alt then heads[4] = "Alternate setting" end
  end
  return parts.data_table(heads, rows)
end

local function image_part(image)
  return { file_table(image), segment_table(image),
    image.start and el("p", { class = "quiet" }, "It starts at ", code(text.hex(image.start)),
      ".") }
end

local function images_part(run)
  local images = images_of(run)
  if #images == 0 then return false end
  local shown = {}
  for i, image in ipairs(images) do shown[i] = image_part(image) end
  return el("section", { class = "card" }, el("h2", nil, #images == 1 and "The image"
    or "The images"), shown)
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
    err ~= nil and parts.failure(err),
    parts.failures(run.at_end),
    parts.descriptions {
      { "Command", command_of(run) },
      { "Recipe", run.summary and { run.name, ": ", run.summary } or run.name },
      { "Options", options_of(run) },
      { "Date", os.date("%Y-%m-%d %H:%M:%S %z", run.began) },
      { "moonflash", MOONFLASH_VERSION .. (sys.is_virtual() and ", on virtual time" or "") },
      { "Note", run.note },
    },
    run.text and el("pre", nil, run.text))
end

-- ---- several boards ----

-- Whether a run changed any board's flash. A recipe may also only ask or measure.
local function touches_flash(run)
  for _, result in ipairs(run.results) do
    if #facts.memories(result, run.dry) > 0 then return true end
    if result.stats.bytes_written > 0 or result.stats.sectors_erased > 0 then return true end
  end
  return false
end

-- The indices of the results: failed boards first.
local function failed_first(results)
  local order = {}
  for _, failed in ipairs { true, false } do
    for i, result in ipairs(results) do
      if (result.err ~= nil) == failed then order[#order + 1] = i end
    end
  end
  return order
end

-- The first line of a board's error, without its path.
local function reason_of(result)
  local line = text.plain(errors.said(result.err)):match("[^\n]*")
  return parts.words(text.without_path(line, result.board.path))
end

local function overview(run)
  if #run.results < 2 then return false end
  local flash, any_failed = touches_flash(run), false
  for _, result in ipairs(run.results) do any_failed = any_failed or result.err ~= nil end
  local heads = { "Result", "Place", "Serial number" }
  if any_failed then heads[#heads + 1] = "Reason" end
  if flash then table.move({ "Memory", "#Sectors erased", "#Written" }, 1, 3, #heads + 1, heads) end
  heads[#heads + 1] = "#Time"
  local rows = {}
  for _, i in ipairs(failed_first(run.results)) do
    local result = run.results[i]
    local board, stats = result.board, result.stats
    local main = flash and facts.memories(result, run.dry)[1]
    local step = result.step
    local row = {
      { parts.badge(result, run.dry), step and el("span", { class = "quiet" }, " in ",
        parts.words(step)) },
      board_section.place_of(board, el("a", { href = "#board-" .. i }, code(board.path))),
      board.serial and code(board.serial) or "",
    }
    if any_failed then
      row[#row + 1] = result.err == nil and ""
        or el("a", { href = "#board-" .. i }, reason_of(result))
    end
    if flash then
      table.move({ main and picture.strip(main) or "", tostring(stats.sectors_erased),
        text.size(stats.bytes_written) }, 1, 3, #row + 1, row)
    end
    row[#heads] = text.seconds(result.seconds)
    rows[#rows + 1] = row
  end
  return el("section", { class = "card" }, el("h2", nil, "The boards"),
    parts.data_table(heads, rows))
end

-- SVG definitions that all pictures share: the hatching for ranges in doubt.
local SHARED = el("svg", { class = "defs", ["aria-hidden"] = "true" },
  el("defs", nil, el("pattern", { id = "hatch", width = 6, height = 6,
    patternUnits = "userSpaceOnUse", patternTransform = "rotate(45)" },
    el("rect", { id = "hatch-ground", width = 6, height = 6 }),
    el("path", { id = "hatch-line", d = "M0 0V6" }))))

M.BEGINNING = '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
  .. '<meta name="generator" content="moonflash'

---The whole page.
---@param run table results, command, name, seconds, status, began, dry; summary, args, opt; err,
---  at_end, outcome, text, note
---@return string
function M.make(run)
  local word = headline(run)
  local boards = {}
  for i, result in ipairs(run.results) do boards[i] = board_section.make(result, run, i) end
  return table.concat {
    M.BEGINNING, " ", html.escape(MOONFLASH_VERSION), '">',
    -- the policy forbids loading and running anything, whatever the page contains
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src ',
    '\'unsafe-inline\'"><meta name="viewport" content="width=device-width, initial-scale=1">',
    html.text(el("title", nil, ("moonflash: %s"):format(word))),
    "<style>", style, "</style></head><body>\n", html.text(SHARED),
    html.text(el("main", nil, header(run), overview(run), images_part(run), boards)),
    html.text(el("footer", nil, "Made by moonflash ", MOONFLASH_VERSION,
      ". 1 KB is 1024 bytes. Times are measured on moonflash's clock.")),
    "</body></html>\n",
  }
end

return M

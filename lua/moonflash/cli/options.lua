-- SPDX-License-Identifier: MIT
-- Moonflash's own options, a row each: all that is known of an option is in its row. The parser,
-- the help and what recipes may not declare come from here. A new option is a new row.
local args = require "moonflash.run.args"
local errors = require "moonflash.errors"

local M = {}

-- Loaded when they are needed: `moonflash --version` is there at once.
local function library(name)
  return require("moonflash." .. name)
end

-- ---- the rows ----

-- --layout: what a board would report of its memory.
local function parse_layout(words)
  local layout = library("memory").parse(words)
  if layout.dropped or #layout.segments == 0 then
    errors.raise { code = "usage", remedy = { "other-layout" },
      message = ("--layout '%s': %s"):format(words, layout.dropped or "no memory is in it") }
  end
  if layout.name == "" then layout.name = "memory" end
  return layout
end

-- [1]: the names. takes: the type of its value (args.lua), and the word for it in the help; a flag
-- takes none. many: it may be repeated. first: only in front of the recipe. help: a line or two.
-- apply(session, value): called once, when it was given.
local rows = {
  { "-d --device", takes = { "string", "SELECTOR" }, many = true,
    help = "the board: 1-4.2, 0483:df11, serial=..., a slot, or sim:f407, which is simulated "
      .. "(may be repeated; default: $MOONFLASH_DEVICE)",
    apply = function(session, selectors)
      table.move(selectors, 1, #selectors, #session.devices + 1, session.devices)
    end },
  { "--every-board", help = "all boards that match",
    apply = function(session) session.every_board = true end },
  { "--every-slot", help = "the boards in all slots (docs/fixtures.md)",
    apply = function(session) session.every_slot = true end },
  { "--slots", takes = { "string", "FILE" },
    help = "file that names the places of boards (default: your slots.lua)",
    apply = function(_, file) library("board.slots").use(file) end },
  { "--wait", takes = { "seconds", "SECONDS" }, help = "wait up to SECONDS for a board to appear",
    apply = function(session, seconds) session.wait = seconds end },
  { "--layout", takes = { "string", "LAYOUT" },
    help = "memory layout, for a board that does not report one: @Flash/0x08000000/04*016Kg,...",
    apply = function(_, words) require("dfu").defaults.layout = parse_layout(words) end },
  { "--dry-run", help = "show what would be done, and change nothing",
    apply = function() require("dfu").defaults.dry = true end },
  { "--json", help = "JSON on standard output, one object a line",
    apply = function(session) session.json = true end },
  { "--report", takes = { "file", "FILE.html" },
    help = "write a report of the run into FILE.html, with a picture of the memory",
    apply = function(session, file)
      local report = library("report")
      report.check(file)
      session.report, session.write_report = file, report.write
    end },
  { "--trace", help = "print each USB request in readable form",
    apply = function(session) session.trace = true end },
  { "--trace-bytes", help = "the same, with the data",
    apply = function(session) session.trace, session.trace_bytes = true, true end },
  { "--pcap", takes = { "file", "FILE" }, help = "write all USB requests into FILE, for Wireshark",
    apply = function(_, file) library("trace").capture(file) end },
  { "-q --quiet", help = "no progress", apply = function(session) session.quiet = true end },
  { "--virtual-time", help = "simulated boards only: let time jump",
    apply = function(session)
      require("sys").virtual_time()
      session.virtual_time = true
    end },
  { "-e", takes = { "string", "CODE" }, first = true, help = "run Lua code",
    apply = function(session, code) session.code = code end },
  { "-i", first = true, help = "stay at the prompt afterwards",
    apply = function(session) session.stay = true end },
  { "--version", first = true, help = "show the version",
    apply = function(session) session.version = true end },
  { "-h --help", help = "show this help", apply = function(session) session.help = true end },
}

-- ---- from the rows ----

local by_name, field_of = {}, {}
for _, row in ipairs(rows) do
  for name in row[1]:gmatch("%S+") do
    by_name[name] = row
    field_of[row] = args.field_name(name)
  end
end

---Whether a word is one of the options, by any of its names.
---@param word string
---@return boolean
function M.is_own(word) return by_name[word] ~= nil end

---Whether an option takes a value, which is then the next word.
---@param word string
---@return boolean
function M.takes_value(word)
  return by_name[word] ~= nil and by_name[word].takes ~= nil
end

---The options as args.parser takes them.
---@param all boolean also those that stand only in front of the recipe
---@return table[]
function M.args(all)
  local list = {}
  for _, row in ipairs(rows) do
    if all or not row.first then
      local short, long = row[1]:match("^(%-%a) (%S+)$")
      local also = row.takes and short -- else the help would have the value twice
      list[#list + 1] = { name = also and long or row[1], also = also, field = field_of[row],
        description = row.help .. (also and "; also " .. also or ""), dashed = true,
        type = row.takes and row.takes[1] or "flag", argname = row.takes and row.takes[2],
        count = row.many and "*" or nil }
    end
  end
  return list
end

local HELP_COLUMN, WIDTH = 26, 80

-- Appends the lines of a text that starts in a column; the first line begins with `head`.
local function append(lines, head, text)
  local line = ("%-" .. HELP_COLUMN .. "s"):format(head)
  if #head >= HELP_COLUMN then
    lines[#lines + 1], line = head, (" "):rep(HELP_COLUMN)
  end
  local is_empty = true
  for word in text:gmatch("%S+") do
    if not is_empty and #line + 1 + #word > WIDTH then
      lines[#lines + 1], line, is_empty = line, (" "):rep(HELP_COLUMN), true
    end
    line, is_empty = line .. (is_empty and "" or " ") .. word, false
  end
  lines[#lines + 1] = line
end

---The help of all options.
---@return string
function M.overview()
  local lines = {}
  for _, row in ipairs(rows) do
    append(lines, "  " .. row[1]:gsub(" ", ", ") .. (row.takes and " " .. row.takes[2] or ""),
      row.help)
  end
  return table.concat(lines, "\n")
end

-- ---- in force ----

---What the command line says, for the whole process.
---@param command string as it was typed, for the report
---@return table session devices=, selectors=, every_board=, every_slot=, wait=, report=, json=,
---  quiet=, trace=, trace_bytes=, virtual_time=, code=, stay=, version=, help=, command=
function M.session(command)
  return { devices = {}, given = {}, command = command }
end

-- --every-slot says which boards; another option that says so would be ignored.
local function check_every_slot(session)
  if not session.every_slot then return end
  local other = session.every_board and "--every-board" or #session.devices > 0 and "--device"
  if other then
    errors.raise { code = "usage", message = "--every-slot and " .. other .. " exclude each other" }
  end
end

local function selectors_of(session)
  if #session.devices > 0 then return session.devices end
  local default = not session.every_slot and os.getenv("MOONFLASH_DEVICE")
  return default and default ~= "" and { default } or nil
end

local function prepare_boards(session)
  for _, selector in ipairs(session.selectors or {}) do
    local wanted = library("board.selector").parse(selector)
    local simulated = (wanted.path or ""):find("^sim:")
    if simulated then require("sim").ensure(wanted.path) end
    if session.virtual_time and not simulated then
      errors.raise { code = "usage",
        message = ("--virtual-time is for simulated boards, and '%s' is none"):format(selector) }
    end
  end
end

-- What follows from several options together.
local function combine(session)
  check_every_slot(session)
  library("ui").begin(session)
  library("run.recipe").stdout_is_data = session.json or false
  session.selectors = selectors_of(session)
  require("dfu").defaults.selectors = session.selectors
  if session.trace then
    local trace = library("trace")
    trace.start(session.trace_bytes)
    trace.live(true, session.every_board or session.every_slot or #(session.selectors or {}) > 1)
  end
  prepare_boards(session)
end

---Puts options into force that were given, each once.
---@param session table
---@param values table from args.parse
function M.apply(session, values)
  for _, row in ipairs(rows) do
    local value = values[field_of[row]]
    if value and not (row.many and #value == 0) then
      if session.given[row] and not row.many then
        errors.raise { code = "usage", message = ("option '%s' is given twice"):format(
          row[1]:match("%S+$")) }
      end
      session.given[row] = true
      row.apply(session, value)
    end
  end
  combine(session)
end

---A recipe lets time jump (its field `virtual`), where --virtual-time was not given.
---@param session table
function M.let_time_jump(session)
  if session.virtual_time then return end
  by_name["--virtual-time"].apply(session, true)
  prepare_boards(session)
end

return M

-- SPDX-License-Identifier: MIT
-- Moonflash's own options, one row each, with everything about the option. The parser, the help,
-- and the list of names that recipes may not declare are made from the rows. A new option is a new
-- row.
local errors = require "moonflash.errors"
local text = require "moonflash.base.text"

local M = {}

-- Modules are loaded when they are first needed, so that `moonflash --version` starts quickly.
local function library(name)
  return require("moonflash." .. name)
end

-- ---- the rows ----

-- The value of --layout: a memory layout, as a board would report it.
local function parse_layout(words)
  local layout = library("memory").parse(words)
  if layout.dropped or #layout.segments == 0 then
    errors.raise { code = "usage", remedy = { "other-layout" },
      message = ("--layout '%s': %s"):format(words, layout.dropped or "no memory is in it") }
  end
  if layout.name == "" then layout.name = "memory" end
  return layout
end

-- [1]: the names. takes: the type of the value (run/args.lua), and its name in the help; a flag has
-- none. many: the option may be repeated. first: allowed only in front of the recipe. help: one or
-- two lines. apply(session, value): called once, if the option was given.
local rows = {
  { "-d --device", takes = { "string", "SELECTOR" }, many = true,
    help = "the board: 1-4.2, 0483:df11, serial=..., a slot, or sim:f407, which is simulated "
      .. "(may be repeated; default: $MOONFLASH_DEVICE)",
    apply = function(session, selectors)
      table.move(selectors, 1, #selectors, #session.devices + 1, session.devices)
    end },
  { "--every-board", help = "run on all boards that match",
    apply = function(session) session.every_board = true end },
  { "--every-slot", help = "run on the boards in all slots (moonflash help fixtures)",
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
  { "--json", shows = true, help = "JSON on standard output, one object a line",
    apply = function(session) session.json = true end },
  { "--report", takes = { "file", "FILE.html" },
    help = "write a report of the run into FILE.html, with a picture of the memory",
    apply = function(session, file)
      local report = library("report")
      report.check(file)
      session.report, session.write_report = file, report.write
    end },
  { "--trace", shows = true, help = "print each USB request in readable form",
    apply = function(session) session.trace = true end },
  { "--trace-bytes", shows = true, help = "the same, with the data",
    apply = function(session) session.trace, session.trace_bytes = true, true end },
  { "--pcap-blank", help = "leave firmware and serial numbers out of the file of --pcap",
    apply = function() library("trace").blank() end },
  { "--pcap", takes = { "file", "FILE" }, help = "write all USB requests into FILE, for Wireshark",
    apply = function(_, file) library("trace").capture(file) end },
  { "-q --quiet", shows = true, help = "no progress",
    apply = function(session) session.quiet = true end },
  { "--progress", takes = { "string", "WHEN" }, shows = true,
    help = "bars and rows: 'auto' (on a terminal), or 'never'",
    apply = function(session, when)
      if when ~= "auto" and when ~= "never" then
        errors.raise { code = "usage",
          message = ("--progress: 'auto' or 'never', not '%s'"):format(when) }
      end
      session.progress = when
    end },
  { "--virtual-time", help = "simulated boards only: skip all waiting",
    apply = function(session)
      require("sys").virtual_time()
      session.virtual_time = true
    end },
  { "-e", takes = { "string", "CODE" }, first = true, help = "run Lua code",
    apply = function(session, code) session.code = code end },
  { "-i", first = true, help = "stay at the prompt afterwards",
    apply = function(session) session.stay = true end },
  { "--version", first = true, help = "show the version",
    apply = function() end },
  { "-h --help", help = "show this help", apply = function() end },
}

-- ---- derived from the rows ----

local by_name, field_of = {}, {}
for _, row in ipairs(rows) do
  for name in row[1]:gmatch("%S+") do
    by_name[name] = row
    field_of[row] = text.field_name(name)
  end
end

---Whether a word is the name of one of the options.
---@param word string
---@return boolean
function M.is_own(word) return by_name[word] ~= nil end

---Whether an option takes a value, which is the next word.
---@param word string
---@return boolean
function M.takes_value(word)
  return by_name[word] ~= nil and by_name[word].takes ~= nil
end

---The options in the format of args.parser.
---@param all boolean include the options that are allowed only in front of the recipe
---@return table[]
function M.args(all)
  local list = {}
  for _, row in ipairs(rows) do
    if all or not row.first then
      local short, long = row[1]:match("^(%-%a) (%S+)$")
      local also = row.takes and short -- otherwise the help would show the value twice
      list[#list + 1] = { name = also and long or row[1], also = also, field = field_of[row],
        description = row.help .. (also and "; also " .. also or ""), dashed = true,
        type = row.takes and row.takes[1] or "flag", argname = row.takes and row.takes[2],
        count = row.many and "*" or nil }
    end
  end
  return list
end

local HELP_COLUMN, WIDTH = 26, 80

---The help of all options.
---@return string
function M.overview()
  local lines = {}
  for _, row in ipairs(rows) do
    local head = "  " .. row[1]:gsub(" ", ", ") .. (row.takes and " " .. row.takes[2] or "")
    for _, line in ipairs(text.wrap(row.help, WIDTH - HELP_COLUMN)) do
      lines[#lines + 1] = ("%-" .. HELP_COLUMN .. "s%s"):format(head, line)
      head = ""
    end
  end
  return table.concat(lines, "\n")
end

-- ---- applying options ----

---A new session: the values of moonflash's options, for the whole process.
---@param command string the command line as typed, for the report
---@return table session devices=, selectors=, every_board=, every_slot=, wait=, report=, json=,
---  quiet=, trace=, trace_bytes=, virtual_time=, code=, stay=, command=
function M.session(command)
  return { devices = {}, given = {}, command = command }
end

-- --every-slot and other options that choose boards exclude each other.
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
        message = ("'%s' is not a simulated board, and virtual time needs one"):format(selector) }
    end
  end
end

---Chooses the boards, from several options and MOONFLASH_DEVICE.
---@param session table
function M.choose_boards(session)
  check_every_slot(session)
  session.selectors = selectors_of(session)
  require("dfu").defaults.selectors = session.selectors
  if session.trace then
    local trace = library("trace")
    trace.start(session.trace_bytes)
    trace.live(true, session.every_board or session.every_slot or #(session.selectors or {}) > 1)
  end
  prepare_boards(session)
end

-- Applies the rows that decide how things are shown, or the others. Returns whether there were any.
local function take(session, values, shows)
  local any = false
  for _, row in ipairs(rows) do
    local value = values[field_of[row]]
    if value and (row.shows or false) == shows and not (row.many and #value == 0) then
      if session.given[row] and not row.many then
        errors.raise { code = "usage", message = ("option '%s' is given twice"):format(
          row[1]:match("%S+$")) }
      end
      session.given[row], any = true, true
      row.apply(session, value)
    end
  end
  return any
end

---Applies the options that were given. May be called twice: for the options in front of the recipe,
---and for those behind it. Raises `usage` if an option is given in both places.
---@param session table
---@param values table from args.parse
function M.apply(session, values)
  if take(session, values, true) or not session.is_shown then -- first: the rest may fail
    session.is_shown = true
    library("ui").begin(session)
    library("run.recipe").stdout_is_data = session.json or false
  end
  take(session, values, false)
  M.choose_boards(session)
end

---Turns virtual time on for a recipe with the field `virtual`, unless --virtual-time was given.
---@param session table
function M.let_time_jump(session)
  if session.virtual_time then return end
  by_name["--virtual-time"].apply(session, true)
  prepare_boards(session)
end

return M

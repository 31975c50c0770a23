-- SPDX-License-Identifier: MIT
-- Finds, lists and opens boards: the half of module `dfu` and of class Board that is Lua. The
-- other half, the primitives, is src/ldfu.c.
local descriptor = require "moonflash.descriptor"
local errors = require "moonflash.errors"
local explain = require "moonflash.explain"
local journal = require "moonflash.journal"
local memory = require "moonflash.memory"
local parts = require "moonflash.parts"
local sim = require "sim"
local suggest = require "moonflash.suggest"
local task = require "task"

local RESCAN = 0.05 -- seconds between two looks for a board that is waited for
local DEFAULT_TRANSFER_SIZE = 64 -- where the functional descriptor has none: DFU 1.1's smallest

local OWN = debug.getinfo(1, "S").source

-- Raises a plain error where the caller of this file stands.
local function misuse(format, ...)
  local level = 2
  local info = debug.getinfo(level, "S")
  while info and (info.source == OWN or info.what == "C") do
    level = level + 1
    info = debug.getinfo(level, "S")
  end
  error(format:format(...), level)
end

-- How long to wait: nil, or a number from 0 to math.huge.
local function check_seconds(what, seconds)
  if seconds ~= nil and not (math.type(seconds) and seconds >= 0) then
    misuse("%s: seconds, 0 or more", what)
  end
  return seconds
end

---@param link table what src/llink.c gives
---@return table dfu
return function(link)
  local M = { API = 1 }

  -- The command line's: the selectors of --device; --dry-run, and how it says what would be done;
  -- whether a recipe is being loaded, and how many boards were opened (or tried) so far.
  M.defaults = { selectors = nil, dry = false, would = nil, loading = false,
                 opened = 0 }

  -- ---- selectors ----

  -- The fields of a selector, and what makes the value of each in a string.
  local function as_it_is(value) return value end
  local function id(value) return value:find("^%x%x%x%x$") and tonumber(value, 16) end
  local SELECTOR = { path = as_it_is, vid = id, pid = id, serial = as_it_is, alt = as_it_is,
                     mode = as_it_is }

  local function bad_selector(selector, why)
    errors.raise {
      code = "usage", message = ("'%s' selects no board: %s"):format(tostring(selector), why),
      hint = "A path (1-4.2), 0483:df11, serial=..., alt=..., mode=runtime, joined by commas; "
        .. "or sim:f407.",
    }
  end

  local function parse_item(wanted, item, selector)
    local vid, pid = item:match("^0?x?(%x%x%x%x):0?x?(%x%x%x%x)$")
    local key, value = item:match("^(%a+)=(.*)$")
    if vid then
      wanted.vid, wanted.pid = tonumber(vid, 16), tonumber(pid, 16)
    elseif item:find("^%d+%-%d[%d.]*$") then
      wanted.path = item
    elseif key and not SELECTOR[key] then
      bad_selector(selector, ("there is no '%s='%s"):format(key,
        suggest.hint(key, suggest.keys(SELECTOR))))
    elseif key and value ~= "" then
      wanted[key] = SELECTOR[key](value)
        or bad_selector(selector, ("%s is four hexadecimal digits"):format(key))
    else
      bad_selector(selector, ("'%s' is neither a path nor ids nor NAME=VALUE"):format(item))
    end
  end

  local TYPES = { path = "string", vid = "integer", pid = "integer", serial = "string",
                  alt = "string or integer", mode = "string" }

  local function check_table(selector)
    for key, value in pairs(selector) do
      if not TYPES[key] then
        misuse("a selector has no '%s'%s", tostring(key),
          suggest.hint(key, suggest.keys(SELECTOR)))
      end
      if not TYPES[key]:find(math.type(value) or type(value), 1, true) then
        misuse("a selector's %s is a %s", key, TYPES[key])
      end
    end
    if selector.mode and selector.mode ~= "dfu" and selector.mode ~= "runtime" then
      misuse("a selector's mode is dfu or runtime")
    end
    return selector
  end

  -- A selector as a table: path, vid, pid, serial, alt, mode.
  local function parse_selector(selector)
    if selector == nil then return {} end
    if type(selector) == "table" then return check_table(selector) end
    if type(selector) ~= "string" then
      misuse("a selector is a string or a table, not a %s", type(selector))
    end
    if selector:find("^sim:") then return { path = selector } end
    local wanted = {}
    for item in selector:gmatch("[^,]+") do parse_item(wanted, item, selector) end
    if wanted.mode and wanted.mode ~= "dfu" and wanted.mode ~= "runtime" then
      bad_selector(selector, "mode is dfu or runtime")
    end
    if next(wanted) == nil then bad_selector(selector, "it is empty") end
    return wanted
  end

  local function find_alt(alts, wanted)
    local number = math.tointeger(tonumber(wanted))
    for _, alt in ipairs(alts) do
      if alt.number == number then return alt end
    end
    for _, alt in ipairs(alts) do
      if alt.layout.name:lower():find(tostring(wanted):lower(), 1, true) == 1 then return alt end
    end
  end

  local function matches(info, wanted)
    return (not wanted.path or info.path == wanted.path)
      and (not wanted.vid or info.vid == wanted.vid)
      and (not wanted.pid or info.pid == wanted.pid)
      and (not wanted.serial or info.serial == wanted.serial)
      and (not wanted.mode or info.mode == wanted.mode)
      and (not wanted.alt or find_alt(info.alts, wanted.alt) ~= nil)
  end

  -- ---- what is on the bus ----

  local GET_DESCRIPTOR, STRING = 6, 0x0300
  local US_ENGLISH = 0x0409

  -- A device may refuse a string, and then has none; what else goes wrong is passed on.
  local function string_bytes(handle, index, language)
    return errors.catch("dfu.stall", handle.control, handle, 0x80, GET_DESCRIPTOR, STRING | index,
      language, 255)
  end

  local function read_string(handle, index, language)
    local bytes = index ~= 0 and string_bytes(handle, index, language)
    return bytes and descriptor.string(bytes) or nil
  end

  local function language_of(handle)
    local bytes = string_bytes(handle, 0, 0)
    return bytes and #bytes >= 4 and ("<I2"):unpack(bytes, 3) or US_ENGLISH
  end

  -- What the descriptors say, without the strings.
  local function describe(row)
    local device = descriptor.device(row.device)
    local functional = device and descriptor.dfu(row.config, device)
    if not functional then return nil end
    local info = {
      path = row.path, generation = row.generation,
      vid = device.vid, pid = device.pid, version = device.version,
      mode = functional.mode, alts = {},
      interface = functional.interface, functional = functional, device = device,
    }
    for i, alt in ipairs(functional.alts) do
      info.alts[i] = { number = alt.number, index = alt.name, name = "",
                       layout = { name = "", segments = {} } }
    end
    return info
  end

  local function add_strings(info, handle)
    local language = language_of(handle)
    info.product = read_string(handle, info.device.product, language)
    info.manufacturer = read_string(handle, info.device.manufacturer, language)
    info.serial = read_string(handle, info.device.serial, language)
    for _, alt in ipairs(info.alts) do
      alt.name = read_string(handle, alt.index, language) or "unknown"
      alt.layout = parts.correct(memory.parse(alt.name))
    end
  end

  local bare = {
    explain = function(board, facts)
      return explain.explain(board, { alts = {}, journal = journal.new() }, facts)
    end,
  }

  -- The strings of a device are read once; a device that comes anew has another generation.
  local known = {}

  local function key_of(info) return info.path .. "\0" .. info.generation end

  -- As far as they can be had: one that goes away meanwhile, or does not answer, has none.
  local function with_strings(info)
    local key = key_of(info)
    if known[key] then return known[key] end
    local handle <close> = link.new(info.path, bare)
    if link.attach(handle, info.generation, -1) and pcall(add_strings, info, handle) then
      known[key] = info
    end
    return info
  end

  local function ensure_simulated(wanted)
    if wanted.path and wanted.path:find("^sim:") then sim.ensure(wanted.path) end
  end

  local function find(wanted)
    ensure_simulated(wanted)
    local found = {}
    for _, row in ipairs(link.devices()) do
      local info = describe(row)
      if info and (not wanted.path or info.path == wanted.path) then
        info = with_strings(info)
        if matches(info, wanted) then found[#found + 1] = info end
      end
    end
    table.sort(found, function(a, b) return a.path < b.path end)
    return found
  end

  ---The boards that are there, in DFU mode or in run-time mode.
  ---@param selector? string|table
  ---@return table[] { { path=, vid=, pid=, serial=, product=, mode=, alts=, ... }, ... }
  function M.list(selector)
    return find(parse_selector(selector))
  end

  -- ---- a board that is open ----

  local function no_device(wanted, path, was_there)
    local runtime = find { path = wanted.path, vid = wanted.vid, pid = wanted.pid,
                           serial = wanted.serial, mode = "runtime" }
    local where = path and path .. ": " or ""
    if runtime[1] then
      errors.raise { code = "usb.no-device", path = path, was_there = was_there,
        message = ("%sno board in DFU mode; %s (%s) runs its program"):format(where,
          runtime[1].path, runtime[1].product or "no name"),
        hint = ("'moonflash -d %s detach' puts it into DFU mode."):format(runtime[1].path) }
    end
    errors.raise { code = "usb.no-device", message = where .. "no board in DFU mode", path = path,
      was_there = was_there,
      hint = "BOOT0 to VDD, PB2 to GND, press reset; then run this again, or add --wait 60.\n"
        .. "Without a board: --device sim:f407 is a simulated one." }
  end

  local function several(found)
    local lines = {}
    for i, info in ipairs(found) do lines[i] = "-d " .. info.path end
    lines[#lines + 1] = "--every-board"
    errors.raise { code = "usb.several",
      message = ("%d boards match; choose one, or all of them:"):format(#found),
      hint = table.concat(lines, "\n") }
  end

  local refusals = {
    busy = { "usb.busy", "another program, or this one, has the board open",
      "End it, and run this again." },
    permission = { "usb.permission", "no permission to open the board",
      "Let whoever sits at this computer use it:\n"
      .. "  moonflash udev | sudo tee /etc/udev/rules.d/70-moonflash.rules\n"
      .. "  sudo udevadm control --reload && sudo udevadm trigger" },
  }

  local function refuse(path, why)
    local row = refusals[why] or { "usb.io", "the board can't be opened (" .. why .. ")",
                                   "Plug it in again." }
    errors.raise { code = row[1], message = path .. ": " .. row[2], hint = row[3], path = path }
  end

  -- The fields that a Board has for a device, and the functions that C calls.
  local function fill(fields, info)
    for _, key in ipairs { "vid", "pid", "serial", "product", "manufacturer", "version", "mode",
                           "alts" } do
      fields[key] = info[key]
    end
    fields.info = info
    fields.part = parts.of(info)
  end

  local function is_dfuse(info)
    if info.functional.dfuse then return true end
    for _, alt in ipairs(info.alts) do -- Particle: 7 bytes of descriptor, and a layout
      if alt.name:find("^@") and #alt.layout.segments > 0 then return true end
    end
    return false
  end

  local function configure(board, info)
    local dfuse = is_dfuse(info)
    local fields = link.fields(board)
    fields.dfuse, fields.dry = dfuse, M.defaults.dry
    link.configure(board, {
      dfuse = dfuse,
      several_alts = #info.alts > 1,
      tolerant = info.functional.attributes.tolerant,
      early = fields.part.early,
      dry = M.defaults.dry,
      transfer_size = info.functional.transfer_size or DEFAULT_TRANSFER_SIZE,
      regions = dfuse and parts.regions(info.alts) or {},
    })
  end

  local fresh -- the table of fields of a board that was never opened

  ---The place of a board, whether one is there or not.
  ---@param selector string|table
  ---@return table Board
  function M.at(selector)
    local wanted = parse_selector(selector)
    local path = wanted.path
    if path then
      ensure_simulated(wanted)
    else
      local found = find(wanted)
      if #found == 0 then no_device(wanted) end
      if #found > 1 then several(found) end
      path = found[1].path
    end
    local fields = fresh()
    fields.wanted_alt = wanted.alt
    return link.new(path, fields)
  end

  -- The device to open at a board's place: never the one that has left it.
  local function candidate(board, wanted)
    local stale = link.stale(board)
    for _, info in ipairs(find { path = board.path }) do
      if info.generation ~= stale and info.mode == (wanted.mode or "dfu")
        and matches(info, wanted) then
        return info
      end
    end
  end

  local function attach(board, info)
    local ok, why = link.attach(board, info.generation, info.interface)
    if not ok then return nil, why end
    local _ <close> = setmetatable({}, { __close = function(_, err)
      if err then board:close() end
    end })
    if not known[key_of(info)] then
      add_strings(info, board) -- it could not be read before: now it must
      known[key_of(info)] = info
    end
    local fields = link.fields(board)
    fill(fields, info)
    configure(board, info)
    if fields.wanted_alt then board:select(fields.wanted_alt) end
    if info.mode == "dfu" then fields.found = board:get_state() end
    return true
  end

  -- Tries until the deadline; once, where there is none. Who has it open may be a Board of ours
  -- that nobody holds any more, and nobody has collected.
  local function open_place(board, seconds, wanted)
    local deadline = task.now() + (seconds or 0)
    local collected = false
    local function collect()
      if collected then return false end
      collected = true
      collectgarbage()
      return link.is_closing(board.path)
    end
    M.defaults.opened = M.defaults.opened + 1
    if M.defaults.loading then misuse("a recipe can't open a board while it is loaded") end
    if board.is_open then misuse("%s is open already", board.path) end
    while true do
      local why = "gone"
      if link.is_closing(board.path) then
        deadline = math.max(deadline, task.now() + RESCAN)
      else
        local info = candidate(board, wanted)
        if info then
          local ok
          ok, why = attach(board, info)
          if ok then return board end
          if why == "busy" and collect() then
            why, deadline = "gone", math.max(deadline, task.now() + RESCAN)
          end
        end
        if why ~= "gone" and why ~= "busy" or (why == "busy" and task.now() >= deadline) then
          refuse(board.path, why)
        end
        if task.now() >= deadline then
          no_device({ path = board.path }, board.path, link.fields(board).info ~= nil)
        end
      end
      task.sleep(RESCAN)
    end
  end

  ---Opens the next device in DFU mode at this place; waits for it, if `seconds` are given.
  ---@param seconds? number
  ---@param selector? string|table what it must be, too: other ids, say
  link.extend("open", function(board, seconds, selector)
    check_seconds("board:open(seconds, selector)", seconds)
    return open_place(board, seconds, parse_selector(selector))
  end)

  ---From run-time mode to DFU mode, and opens it again.
  ---@param seconds? number how long it may take to come back; default 10
  link.extend("detach", function(board, seconds)
    seconds = check_seconds("board:detach(seconds)", seconds) or 10
    if not board.is_open then open_place(board, nil, { mode = "runtime" }) end
    local fields = link.fields(board)
    if fields.mode ~= "runtime" then
      misuse("%s is in DFU mode already", board.path)
    end
    local functional = fields.info.functional
    link.detach(board, math.min(math.floor((functional.detach_timeout or 1) * 1000), 65535))
    if M.defaults.dry then return end
    if board.is_open then
      -- DFU 1.1: the host resets the bus, unless the device detaches by itself
      if functional.attributes.will_detach then
        local by = task.now() + seconds
        while find({ path = board.path })[1] and task.now() < by
          and find({ path = board.path })[1].generation == fields.info.generation do
          task.sleep(RESCAN)
        end
        board:close()
      else
        board:reset()
      end
    end
    return open_place(board, seconds, {})
  end)

  ---Waits for the application that runs at this place after leave.
  ---@param seconds number
  ---@return table { vid=, pid=, serial=, product= }
  link.extend("wait_app", function(board, seconds)
    local deadline = task.now() + (check_seconds("board:wait_app(seconds)", seconds) or 0)
    while true do
      for _, row in ipairs(link.devices()) do
        local device = row.path == board.path and row.generation ~= link.stale(board)
          and descriptor.device(row.device)
        local info = device and describe(row)
        if device and (not info or info.mode == "runtime") then
          if info then info = with_strings(info) end
          return { vid = device.vid, pid = device.pid, serial = info and info.serial,
                   product = info and info.product }
        end
      end
      if task.now() >= deadline then
        errors.raise { code = "timeout", path = board.path,
          message = ("%s: nothing came up within %s s"):format(board.path, tostring(seconds)),
          hint = "Is BOOT0 low? Does the program have a USB device?" }
      end
      task.sleep(RESCAN)
    end
  end)

  -- ---- what C asks for ----

  local names = { "path", "is_open", "timeout", "transfer_size", "alt", "retries", "opened",
    "quirks", "vid", "pid", "serial", "product", "manufacturer", "version", "mode", "alts", "found",
    "open", "close", "detach", "wait_app", "select", "get_status", "get_state", "clear_status",
    "abort", "commands", "set_address", "erase_page", "mass_erase", "download_block",
    "upload_block", "read", "write", "read_unprotect", "leave", "control", "reset" }
  local may_be_nil = { vid = 1, pid = 1, serial = 1, product = 1, manufacturer = 1, version = 1,
    mode = 1, alts = 1, found = 1 }

  -- board.quirks: what is set in it takes effect at once.
  local function quirks_of(board)
    return setmetatable({}, {
      __index = function(_, name)
        if name == "early" then return link.early(board) end
        error(("a Board has no quirk '%s'; it has early"):format(tostring(name)), 2)
      end,
      __newindex = function(_, name, on)
        if name ~= "early" or type(on) ~= "boolean" then
          error("a Board's quirk is early, true or false", 2)
        end
        link.early(board, on)
      end,
    })
  end

  -- How many sectors of the memory that holds it a range has.
  local function sectors_in(alts, first, last)
    for _, alt in ipairs(alts) do
      local count = 0
      for _, s in ipairs(alt.layout.segments) do
        local from = math.max(first, s.address)
        local to = math.min(last, s.address + s.count * s.size - 1)
        if from <= to then count = count + (to - from) // s.size + 1 end
      end
      if count > 0 then return count end
    end
    return 1
  end

  fresh = function()
    local fields = { alts = {}, journal = journal.new(),
      stats = { sectors_erased = 0, bytes_written = 0, bytes_skipped = 0, bytes_verified = 0 } }

    function fields.explain(board, facts)
      return explain.explain(board, fields, facts)
    end

    function fields.mark(_, what, first, last)
      local stats = fields.stats
      if what == "left" then
        stats.left = fields.dfuse and first or true
        return
      end
      fields.journal:mark(what, first, last)
      if what == "erased" then
        stats.sectors_erased = stats.sectors_erased + sectors_in(fields.alts, first, last)
      end
      if what == "written" then stats.bytes_written = stats.bytes_written + last - first + 1 end
      if what == "verified" then stats.bytes_verified = stats.bytes_verified + last - first + 1 end
    end

    function fields.check_option_bytes(board, address, bytes)
      local at = fields.part.irreversible
      if at and bytes:byte(at - address + 1) == parts.CLOSED_FOR_EVER then
        errors.raise { code = "dfu.irreversible", path = board.path, address = at,
          message = ("%s: write 0x%08X: 0xCC at 0x%08X is read protection level 2, which closes "
            .. "the chip for ever; nothing was sent"):format(board.path, address, at),
          hint = "board:download_block() is the way to do it on purpose." }
      end
    end

    function fields.would(board, what, address, length)
      if M.defaults.would then M.defaults.would(board, what, address, length) end
    end

    function fields.find_alt(board, wanted)
      local alt = find_alt(fields.alts, wanted)
      if alt then return alt.number end
      local list = {}
      for i, a in ipairs(fields.alts) do list[i] = ("%d (%s)"):format(a.number, a.layout.name) end
      misuse("%s has no alternate setting '%s'; it has %s", board.path, tostring(wanted),
        table.concat(list, ", "))
    end

    function fields.unknown(board, key)
      if key == "quirks" then return quirks_of(board) end
      if may_be_nil[key] then return fields[key] end
      misuse("a Board has no '%s'%s", key, suggest.hint(key, names))
    end

    function fields.assign(board, key, value)
      if key ~= "quirks" then
        misuse("a Board's '%s' can't be set; timeout and quirks can", key)
      end
      if type(value) ~= "table" or type(value.early) ~= "boolean" then
        misuse("board.quirks = { early = true or false }")
      end
      for name in pairs(value) do
        if name ~= "early" then misuse("there is no quirk '%s'; there is early", tostring(name)) end
      end
      link.early(board, value.early)
    end

    return fields
  end

  -- ---- opening ----

  local function wait_for(wanted, seconds)
    local deadline = task.now() + (seconds or 0)
    local dfu = setmetatable({ mode = wanted.mode or "dfu" }, { __index = wanted })
    while true do
      local found = find(dfu)
      if #found > 0 then return found end
      if task.now() >= deadline then no_device(wanted, wanted.path) end
      task.sleep(RESCAN)
    end
  end

  ---Opens a board in DFU mode: the one that the selector, or --device, or else the bus has.
  ---@param selector? string|table
  ---@param seconds? number how long to wait for it
  ---@return table Board
  function M.open(selector, seconds)
    if selector == nil and M.defaults.selectors then
      if #M.defaults.selectors > 1 then
        misuse("dfu.open: --device names several boards; say which one")
      end
      selector = M.defaults.selectors[1]
    end
    if M.defaults.loading then misuse("a recipe can't open a board while it is loaded") end
    check_seconds("dfu.open(selector, seconds)", seconds)
    local wanted = parse_selector(selector)
    local found = wait_for(wanted, seconds)
    if #found > 1 then several(found) end
    local board = M.at { path = found[1].path, alt = wanted.alt }
    return open_place(board, nil, { mode = wanted.mode })
  end

  ---An iterator over boards, not yet open, one for each that arrives or is there already.
  ---@param selector? string|table
  function M.arrivals(selector)
    local wanted = parse_selector(selector)
    local seen = {}
    return function()
      while true do
        local here = {}
        for _, info in ipairs(find(wanted)) do
          local key = key_of(info)
          here[key] = true
          if info.mode == (wanted.mode or "dfu") and not seen[key] then
            seen[key] = true
            return M.at { path = info.path, alt = wanted.alt }
          end
        end
        for key in pairs(seen) do
          if not here[key] then seen[key] = nil end
        end
        task.sleep(RESCAN)
      end
    end
  end

  ---The table that belongs to a Board, for the library: journal, stats, part, info.
  M.fields = link.fields
  M.parse_selector = parse_selector
  M.matches = matches
  M.several = several
  M.wait_for = wait_for
  M.describe_memories = function(board) return explain.memories(link.fields(board)) end

  return M
end

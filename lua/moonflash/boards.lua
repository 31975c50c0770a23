-- SPDX-License-Identifier: MIT
-- Finds, lists and opens boards: the half of module `dfu` and of class Board that is Lua. The
-- other half, the primitives, is src/ldfu.c.
local bus_over = require "moonflash.bus"
local check = require "moonflash.check"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local explain = require "moonflash.explain"
local guard = require "moonflash.guard"
local jobs = require "moonflash.board.job"
local journal = require "moonflash.journal"
local last_words = require "moonflash.last_words"
local leaving = require "moonflash.leaving"
local memory = require "moonflash.memory"
local misuse = require "moonflash.misuse"
local parts = require "moonflash.parts"
local roms = require "moonflash.roms"
local selectors = require "moonflash.selector"
local slots = require "moonflash.slots"
local suggest = require "moonflash.suggest"
local task = require "task"

local MOST_TRANSFER_SIZE = 4096 -- libusb carries no longer control transfer on Linux
local DEFAULT_TRANSFER_SIZE = 64 -- where the functional descriptor has none: DFU 1.1's smallest

---@param link table what src/llink.c gives
---@return table dfu
return function(link)
  local M = { API = 1 }

  -- The command line's: the selectors of --device; --dry-run, and how it says what would be done;
  -- whether a recipe is being loaded, and how many boards were opened (or tried) so far.
  M.defaults = { selectors = nil, dry = false, would = nil, loading = false,
                 opened = 0 }

  local bus = bus_over(link)
  local find = bus.find

  ---The boards that are there, in DFU mode or in run-time mode.
  ---@param selector? string|table
  ---@return table[] { { path=, vid=, pid=, serial=, product=, mode=, alts=, ... }, ... }
  function M.list(selector)
    return find(selectors.parse(selector))
  end

  -- ---- a board that is open ----

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

  local function no_running(wanted, path, was_there)
    local here = find { path = wanted.path, vid = wanted.vid, pid = wanted.pid,
                        serial = wanted.serial, mode = "dfu" }[1]
    errors.raise { code = "usb.no-device", path = path, was_there = was_there,
      message = ("%sno board that runs its program%s"):format(path and path .. ": " or "",
        here and ("; %s (%s) is in DFU mode"):format(here.path, here.product or "no name") or ""),
      hint = here and ("'moonflash -d %s leave' starts its program."):format(here.path) }
  end

  -- brought: by its recipe, whose board:open() waits as long as it says, and not for --wait.
  local function no_device(wanted, path, was_there, brought)
    local forbidden = (wanted.serial or wanted.alt) and bus.forbidden(wanted)
    if forbidden then refuse(forbidden, "permission") end
    if wanted.mode == "runtime" then no_running(wanted, path, was_there) end
    local runtime = find { path = wanted.path, vid = wanted.vid, pid = wanted.pid,
                           serial = wanted.serial, mode = "runtime" }
    local where = path and path .. ": " or ""
    if runtime[1] then
      errors.raise { code = "usb.no-device", path = path, was_there = was_there,
        message = ("%sno board in DFU mode; %s (%s) runs its program"):format(where,
          runtime[1].path, runtime[1].product or "no name"),
        hint = (explain.at_prompt() and "board = dfu.at(\"%s\"); board:detach()"
          or "'moonflash -d %s detach'"):format(runtime[1].path) .. " puts it into DFU mode." }
    end
    local probe = bus.st_link()
    errors.raise { code = "usb.no-device", message = where .. "no board in DFU mode", path = path,
      was_there = was_there,
      hint = (probe and ("An ST-LINK is here (%s): that is the Discovery's mini-USB; DFU needs the "
        .. "micro-USB too.\n"):format(probe) or "")
        .. "BOOT0 to VDD, PB2 to GND, press reset; then run this again"
        .. (brought and ".\n" or ", or add --wait 60.\n")
        .. "Without a board: --device sim:f407 is a simulated one." }
  end

  local function another(info, wanted)
    errors.raise { code = "usb.no-device", path = info.path,
      message = ("%s: the board there is %s, %04x:%04x, serial number %s, and not %s"):format(
        info.path, info.product or "one without a name", info.vid, info.pid, info.serial or "-",
        selectors.text(wanted)),
      hint = "Put the right one there, and run the same command." }
  end

  local function several(found)
    local lines = {}
    for i, info in ipairs(found) do lines[i] = "-d " .. info.path end
    lines[#lines + 1] = "--every-board"
    errors.raise { code = "usb.several",
      message = ("%d boards match; choose one, or all of them:"):format(#found),
      hint = table.concat(lines, "\n") }
  end

  -- The memories of a device: as it tells them, but for the first where --layout says otherwise.
  local function memories_of(info)
    local alts = {}
    for i, alt in ipairs(info.alts) do
      local layout = i == 1 and M.defaults.layout or alt.layout
      alts[i] = { number = alt.number, name = alt.name, layout = layout }
    end
    return alts
  end

  -- Whether two alternate settings have an address in common.
  local function share_addresses(alts)
    for i, one in ipairs(alts) do
      for j = i + 1, #alts do
        for _, s in ipairs(one.layout.segments) do
          for _, o in ipairs(alts[j].layout.segments) do
            if s.address < o.address + o.count * o.size and o.address < s.address + s.count * s.size
            then
              return true
            end
          end
        end
      end
    end
    return false
  end

  -- The fields that a Board has for a device, and the functions that C calls.
  local function fill(fields, info)
    for _, key in ipairs { "vid", "pid", "serial", "product", "manufacturer", "version", "mode" } do
      fields[key] = info[key]
    end
    fields.info = info
    fields.alts = memories_of(info)
    fields.shared = share_addresses(fields.alts)
    fields.part = parts.of(info)
  end

  -- Where the version does not tell (Particle: 7 bytes of descriptor), a layout does. Without
  -- either, a program's first bytes sent as plain DFU could be a DfuSe command, 'erase' say; and
  -- what is a DfuSe command, sent to a board that speaks plain DFU, would be its new program.
  local function is_dfuse(info)
    if info.functional.dfuse then return true end
    local unread, named
    for _, alt in ipairs(info.alts) do
      if alt.name:find("^@") and #alt.layout.segments > 0 then return true end
      named = named or alt.name:find("^@") ~= nil
      unread = unread or alt.index ~= 0 and alt.unread
    end
    if M.defaults.layout then
      local version = info.functional.dfu_version
      if version and not named and info.mode == "dfu" then
        errors.raise { code = "usage", path = info.path, remedy = {},
          message = ("%s: plain DFU %x.%x has no addresses, so it takes no --layout; nothing "
            .. "was sent"):format(info.path, version >> 8, version >> 4 & 0xF),
          hint = "Leave --layout out. The image is then written from the start of the memory." }
      end
      return true
    end
    if unread and info.functional.dfu_version == 0x0100 and info.mode == "dfu" then
      errors.raise { code = "usb.io", path = info.path,
        message = info.path .. ": the name of its memory, which tells whether the board speaks "
          .. "DfuSe, can't be read", hint = "Plug it in again, and run the same command." }
    end
    return false
  end

  local function configure(board, info)
    local dfuse = is_dfuse(info)
    local fields = link.fields(board)
    fields.dfuse, fields.dry = dfuse, M.defaults.dry
    local transfer_size = math.min(info.functional.transfer_size or DEFAULT_TRANSFER_SIZE,
      MOST_TRANSFER_SIZE)
    local device = bus.device(info.path, info.generation)
    device.dfuse, device.transfer_size = dfuse, transfer_size
    fields.transfer_size = transfer_size
    link.configure(board, {
      dfuse = dfuse,
      several_alts = #info.alts > 1,
      tolerant = info.functional.attributes.tolerant,
      early_poll = fields.part.early_poll,
      vendor_protects = fields.part.rom ~= nil,
      dry = M.defaults.dry,
      transfer_size_unknown = (info.functional.transfer_size or math.huge) > MOST_TRANSFER_SIZE,
      transfer_size = transfer_size,
      regions = dfuse and parts.regions(fields.alts) or {},
    })
  end

  local fresh -- the table of fields of a board that was never opened

  ---The place of a board, whether one is there or not.
  ---@param selector string|table
  ---@return table Board
  function M.at(selector)
    local wanted = selectors.parse(selector)
    local path = wanted.path
    if path then
      bus.ensure_simulated(wanted)
    else
      local found = find(wanted)
      if #found == 0 then no_device(wanted) end
      if #found > 1 then several(found) end
      path = found[1].path
    end
    local fields = fresh()
    fields.wanted_alt, fields.slot = wanted.alt, slots.name_of(path)
    return link.new(path, fields)
  end

  -- The device to open at a board's place: never the one that has left it. Second, one that is
  -- there and is not what is wanted.
  local function candidate(board, wanted)
    local stale, other = link.stale(board), nil
    for _, info in ipairs(find { path = board.path }) do
      if info.generation ~= stale and info.mode == (wanted.mode or "dfu") then
        if selectors.matches(info, wanted) then return info end
        other = info
      end
    end
    return nil, other
  end

  -- Another board than the one that was here before: the claims about that one say nothing of it.
  local function is_another(fields, info)
    local before = fields.last_dfu
    return before and info.mode == "dfu" and (before.vid ~= info.vid or before.pid ~= info.pid
      or before.serial ~= info.serial) or false
  end

  -- A Board's journal goes on with each device that comes to its place, while it is the same board;
  -- and what was done to a device by another Board, before, is in it too.
  local function share_journal(board, info)
    local fields, device = link.fields(board), bus.device(info.path, info.generation)
    if is_another(fields, info) then fields.journal = journal.new() end
    if info.mode == "dfu" then fields.last_dfu = info end
    if device.journal and device.journal ~= fields.journal then
      fields.journal:append(device.journal)
      device.journal.ranges = fields.journal.ranges
      fields.journal = device.journal
    end
    device.journal = fields.journal
  end

  local function attach(board, info)
    if bus.is_known(info) then is_dfuse(info) end -- raises where --layout does not fit
    local ok, why = link.attach(board, info.generation, info.configuration, info.interface)
    if not ok then return nil, why end
    local _ <close> = setmetatable({}, { __close = function(_, err)
      if err then board:close() end
    end })
    local fields = link.fields(board)
    -- before the strings: a board that is busy holds all of these, and this one says so
    fields.found = info.mode == "dfu" and errors.catch("dfu.stall", board.get_state, board) or nil
    fields.erasing = nil
    bus.complete(info, board)
    share_journal(board, info)
    fill(fields, info)
    configure(board, info)
    if fields.wanted_alt then board:select(fields.wanted_alt) end
    if info.mode == "dfu" then fields.keep_last_words(board) end
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
    if board.is_open and M.whereabouts(board) ~= "there" then
      board:close() -- it was unplugged since, and nobody has noticed
    elseif board.is_open then
      misuse("%s is open already", board.path)
    end
    while true do
      local why = "gone"
      if link.is_closing(board.path) then
        deadline = math.max(deadline, task.now() + bus.RESCAN)
      else
        local info, other = candidate(board, wanted)
        if info then
          local returned, outcome, reason = pcall(attach, board, info)
          if returned and outcome then return board end
          why = returned and reason or "gone"
          if not returned then -- busy with what another program had it do, or just unplugged
            local passes = errors.matches(outcome, "timeout") or errors.matches(outcome, "usb.gone")
            if not passes or task.now() >= deadline then error(outcome, 0) end
          end
          if why == "busy" and collect() then
            why, deadline = "gone", math.max(deadline, task.now() + bus.RESCAN)
          elseif why == "permission" and bus.is_settling(info) then
            why, deadline = "gone", math.max(deadline, task.now() + bus.RESCAN)
          end
        end
        if why ~= "gone" and why ~= "busy" or (why == "busy" and task.now() >= deadline) then
          refuse(board.path, why)
        end
        if other and task.now() >= deadline then another(other, wanted) end
        if task.now() >= deadline then
          local fields = link.fields(board)
          no_device({ path = board.path, mode = wanted.mode }, board.path, fields.info ~= nil,
            fields.job.brought)
        end
      end
      task.sleep(bus.RESCAN)
    end
  end

  ---Opens the next device in DFU mode at this place; waits for it, if `seconds` are given.
  ---@param seconds? number
  ---@param selector? string|table what it must be, too; default: what its recipe is for
  link.extend("open", function(board, seconds, selector)
    check.seconds("board:open(seconds, selector)", seconds)
    local fields = link.fields(board)
    local wanted = selectors.parse(selector or fields.job.meant)
    if M.defaults.dry and board.is_open then return board end -- nothing has made it go away
    open_place(board, seconds, wanted)
    if fields.job.task then fields.job:announce(board) end
    return board
  end)

  ---From run-time mode to DFU mode, and opens it again.
  ---@param seconds? number how long it may take to come back; default 10
  link.extend("detach", function(board, seconds)
    seconds = check.seconds("board:detach(seconds)", seconds) or 10
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
        bus.wait_gone(board.path, fields.info.generation, seconds)
        board:close()
      else
        board:reset()
      end
    end
    return open_place(board, seconds, {})
  end)

  leaving(link, bus)

  ---Waits for the application that runs at this place after leave.
  ---@param seconds number
  ---@return table { vid=, pid=, serial=, product=, tty= }; empty on a dry run
  link.extend("wait_app", function(board, seconds)
    if seconds == nil then misuse("board:wait_app(seconds): seconds, 0 or more") end
    check.seconds("board:wait_app(seconds)", seconds)
    if M.defaults.dry then
      events.emit("would", board, "wait for its program")
      return {}
    end
    local deadline = task.now() + seconds
    local settled -- when its terminal should be there
    while true do
      local application, settling = bus.application(board.path, link.stale(board))
      if application then
        settled = settled or math.min(deadline, task.now() + bus.SETTLING)
        if not settling or task.now() >= settled then return application end
      end
      if not application and task.now() >= deadline then
        errors.raise { code = "timeout", path = board.path,
          message = ("%s: nothing came up within %s s"):format(board.path, tostring(seconds)),
          hint = (roms.may_be(link.fields(board).info or {}) and "Is BOOT0 low? " or "")
            .. "Does the program have a USB device?" }
      end
      task.sleep(bus.RESCAN)
    end
  end)

  ---Begins a step of the recipe's work, and ends the one before.
  ---@param name string
  ---@param seconds? number that it may take
  link.extend("step", function(board, name, seconds)
    link.fields(board).job:begin_step(board, name, seconds)
  end)

  ---Keeps a measurement. Raises `fail` where it is outside its limits.
  ---@param name string
  ---@param value string|number|boolean
  ---@param limits? table min=, max=, unit=
  link.extend("note", function(board, name, value, limits)
    link.fields(board).job:measure(board, name, value, limits)
  end)

  -- ---- what C asks for ----

  local names = { "path", "slot", "is_open", "dry", "timeout", "transfer_size", "alt", "retries",
    "opened", "early_poll", "vid", "pid", "serial", "product", "manufacturer", "version", "mode",
    "alts", "found", "open", "close", "detach", "wait_app", "step", "note", "select",
    "get_status", "get_state", "clear_status", "abort", "commands", "set_address", "erase_page",
    "mass_erase", "download_block", "upload_block", "read", "write", "read_unprotect", "leave",
    "control", "reset" }
  local may_be_nil = { slot = 1, vid = 1, pid = 1, serial = 1, product = 1, manufacturer = 1,
    version = 1, mode = 1, alts = 1, found = 1 }

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
    local job = jobs.new()
    local fields = { alts = {}, journal = journal.new(), job = job,
      stats = { sectors_erased = 0, bytes_written = 0, bytes_skipped = 0, bytes_verified = 0,
                steps = job.steps, notes = job.notes } }

    -- The alternate setting that the journal names: none, where addresses tell by themselves.
    local function alt_of(first, alt)
      if not fields.shared then return nil end
      if alt then return alt end
      for _, a in ipairs(fields.alts) do
        if memory.find(a.layout.segments, first) then return a.number end
      end
    end

    -- What a second signal would say now: an operation under way leaves its range in doubt.
    local function keep_last_words(board, first, last, alt)
      local now = fields.journal
      if first then
        now = journal.new()
        now.ranges = fields.journal:claims()
        now:mark("doubt", first, last, alt)
      end
      last_words.set(board.path, now:text() .. (fields.kept_in
        and (" The kept bytes are in %s."):format(fields.kept_in) or ""))
    end
    fields.keep_last_words = keep_last_words

    function fields.begin(board, first, last, alt)
      keep_last_words(board, first, last, alt_of(first, alt))
    end

    function fields.mark(board, what, first, last, alt)
      local stats = fields.stats
      if what == "left" then
        stats.left = fields.dfuse and first or true
        events.emit("left", board, fields.dfuse and first or nil)
        return
      end
      fields.journal:mark(what, first, last, alt_of(first, alt))
      keep_last_words(board)
      fields.erasing = nil -- it has answered since
      if what == "erased" then
        stats.sectors_erased = stats.sectors_erased + sectors_in(fields.alts, first, last)
      end
      if what == "written" then stats.bytes_written = stats.bytes_written + last - first + 1 end
      if what == "verified" then stats.bytes_verified = stats.bytes_verified + last - first + 1 end
    end

    -- What is thought to be erased is in doubt: something else was found in that sector.
    function fields.doubt_erased(first, last, alt)
      fields.journal:doubt_erased(first, last, alt_of(first, alt))
    end

    -- The bytes of a range are to be on the board at the end of the run.
    function fields.want(first, last, alt)
      fields.journal:want(first, last, alt_of(first, alt))
    end

    return fields
  end

  -- What each gets, and when it is called: src/lop.h.
  link.callbacks {
    explain = explain.explain,

    mark = function(board, fields, ...) fields.mark(board, ...) end,

    begin = function(board, fields, ...) fields.begin(board, ...) end,

    begin_block = function(board, fields, block, bytes)
      guard.each_changed(fields, block, bytes, function(first, last, alt)
        fields.mark(board, "doubt", first, last, alt)
      end)
    end,

    would = function(board, _, ...)
      events.emit("would", board, ...)
    end,

    guard = function(board, fields, address, bytes, irreversible)
      if not irreversible then guard.write(fields, board, address, bytes) end
    end,

    guard_block = function(board, fields, where, bytes, irreversible)
      if not irreversible then guard.block(fields, board, where, bytes) end
    end,

    find_alt = function(board, fields, wanted)
      local alt = selectors.find_alt(fields.alts, wanted)
      if alt then return alt.number end
      local list = {}
      for i, a in ipairs(fields.alts) do list[i] = ("%d (%s)"):format(a.number, a.layout.name) end
      misuse("%s has no alternate setting '%s'; it has %s", board.path, tostring(wanted),
        table.concat(list, ", "))
    end,

    unknown = function(board, fields, key)
      if key == "early_poll" then return link.early_poll(board) end
      if key == "dry" then return M.defaults.dry end
      if may_be_nil[key] then return fields[key] end
      misuse("a Board has no '%s'%s", key, suggest.hint(key, names))
    end,

    assign = function(board, _, key, value)
      if key ~= "early_poll" then
        misuse("a Board's '%s' can't be set; timeout and early_poll can", key)
      end
      if type(value) ~= "boolean" then misuse("board.early_poll: true or false") end
      link.early_poll(board, value)
    end,
  }

  -- ---- opening ----

  local function wait_for(wanted, seconds)
    local deadline = task.now() + (seconds or 0)
    local dfu = setmetatable({ mode = wanted.mode or "dfu" }, { __index = wanted })
    while true do
      local found = find(dfu)
      if #found > 0 then return found end
      if task.now() >= deadline then no_device(wanted, wanted.path) end
      task.sleep(bus.RESCAN)
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
    check.seconds("dfu.open(selector, seconds)", seconds)
    local wanted = selectors.parse(selector)
    local by = task.now() + (seconds or 0)
    local found = wait_for(wanted, seconds)
    if #found > 1 then several(found) end
    local board = M.at { path = found[1].path, alt = wanted.alt }
    return open_place(board, math.max(0, by - task.now()), { mode = wanted.mode })
  end

  ---An iterator over boards, not yet open, one for each that arrives or is there already.
  ---@param selector? string|table
  function M.arrivals(selector)
    local wanted = selectors.parse(selector)
    local seen = {}
    return function()
      while true do
        local here = {}
        for _, info in ipairs(find(wanted)) do
          local key = bus.key_of(info)
          here[key] = true
          if info.mode == (wanted.mode or "dfu") and not seen[key] then
            seen[key] = true
            return M.at { path = info.path, alt = wanted.alt }
          end
        end
        for key in pairs(seen) do
          if not here[key] then seen[key] = nil end
        end
        task.sleep(bus.RESCAN)
      end
    end
  end

  ---What has become of the device that a Board was opened on: "there", "gone", or "back", which is
  ---another in its place. Asks the bus, and no device.
  ---@param board table
  ---@return string
  function M.whereabouts(board)
    local info = link.fields(board).info
    local answer = "gone"
    for _, row in ipairs(link.devices(board.path)) do
      answer = info and row.generation == info.generation and row.generation ~= link.stale(board)
        and "there" or "back"
    end
    return answer
  end

  ---Where an operation was given up, brings the board back to dfuIDLE; else does nothing.
  M.to_idle = link.to_idle

  ---What a Board has: the names of its fields and methods.
  M.names = names

  ---The table that belongs to a Board, for the library: journal, stats, part, info.
  M.fields = link.fields

  ---The same, of what is said to be a Board: anything else is misuse of that function.
  ---@param usage string "flash.write(board, image, options)"
  ---@param board any
  ---@return table fields
  function M.check(usage, board)
    local meta = debug.getmetatable(board)
    if type(board) ~= "userdata" or not meta or meta.__name ~= "dfu.Board" then
      misuse("%s: a Board, from dfu.open, and not a %s", usage, type(board))
    end
    return link.fields(board)
  end
  ---The alternate setting that board:select chose, if it did.
  M.selected = link.selected
  M.others = bus.others
  M.observe, M.is_closing, M.device = link.observe, link.is_closing, bus.device
  M.states, M.statuses = link.states, link.statuses
  M.several = several
  M.wait_for = wait_for
  M.describe_memories = function(board) return explain.memories(link.fields(board)) end

  return M
end

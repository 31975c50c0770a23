-- SPDX-License-Identifier: MIT
-- What a person would check when it does not work, as a list of checks. A check is a small function
-- with a name; it says what was found, whether that is good, and what to do. It returns nil where
-- it does not apply. None writes to a board's memory, or erases any.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local list = require "moonflash.list"
local machines = require "moonflash.doctor.machine"
local memory = require "moonflash.memory"
local optbytes = require "moonflash.optbytes"
local parts = require "moonflash.parts"
local report = require "moonflash.doctor.report"
local task = require "task"
local text = require "moonflash.text"

local M = {}

local PATIENCE = 1 -- seconds that a request may take: ROMs that are idle need milliseconds
local BUSY = 2     -- seconds that a board may stay busy
local LONGEST = 8  -- seconds for all checks of one board

-- ---- what checks return ----

local function ok(found, ...)
  return { found = select("#", ...) > 0 and found:format(...) or found, good = "good" }
end

local function note(found, todo)
  return { found = found, good = "note", todo = todo }
end

local function bad(code, found, todo)
  return { found = found, good = "bad", todo = todo, code = code }
end

-- An error of the library's in these terms, without the board's path, which stands above.
local function from_error(err, path)
  local message = err.message
  if path and message:sub(1, #path + 2) == path .. ": " then message = message:sub(#path + 3) end
  return bad(err.code, message, err.hint)
end

-- ---- the computer ----

local NO_USB = {
  wsl = { "WSL has no USB of its own",
    "On Windows, with usbipd-win installed, as administrator:\n"
    .. "  usbipd list\n  usbipd bind --busid 1-4\n  usbipd attach --wsl --busid 1-4" },
  container = { "this container was given no USB",
    "Start it with the devices of the computer:\n"
    .. "  docker run -v /dev/bus/usb:/dev/bus/usb \\\n"
    .. "    --device-cgroup-rule='c 189:* rmw' ..." },
  vm = { "this virtual machine was given no USB",
    "Give it a USB controller and pass the board on to it, in the settings of the machine.\n"
    .. "It leaves the bus and comes back when it restarts: pass on the port, not the device." },
  other = { "this computer has no USB, or its kernel does not know",
    "  lspci | grep -i usb; sudo modprobe xhci-pci" },
}

local WITHOUT = "Without a board: -d sim:f407 is a simulated one."

local on_machine = {}

function on_machine.system(all)
  local v = all.machine.versions
  local found = ("%s %s, libusb %s, moonflash %s"):format(v.system or "?",
    (v.kernel or "?"):match("^[%d.]+") or v.kernel, v.libusb, v.moonflash)
  return ok(found)
end

function on_machine.usb(all)
  if all.simulated then return nil end
  local devices, buses = all.machine:usb()
  local seen = all.real or buses and buses + devices > 0
  if seen and all.machine:has_nodes() then
    return ok("%s on %s", text.count(devices or 0, "device"),
      buses == 1 and "1 bus" or ("%d buses"):format(buses or 0))
  end
  -- who sees the buses and has no nodes is in a container, whether it says so or not
  local says = NO_USB[seen and "container" or all.machine:kind() or "other"]
  all.no_usb = true
  return bad("usb.no-device", says[1], says[2] .. "\n" .. WITHOUT)
end

local INSTALL = "moonflash udev | sudo tee /etc/udev/rules.d/70-moonflash.rules"
local RELOAD = "sudo udevadm control --reload && sudo udevadm trigger"
local INSTALL_RULE = ("  %s\n  %s"):format(INSTALL, RELOAD)

-- Without a board: whether the rule is there for when one comes. A board that is there says more.
function on_machine.rule(all)
  local uid = all.machine:user()
  if all.simulated or all.real or all.no_usb or uid == 0 then return nil end
  local st = parts.known[1]
  local rule = all.machine:rule_for(st[1], st[2])
  if not rule then
    return note("no udev rule lets users open boards",
      "Let whoever sits at this computer use them:\n" .. INSTALL_RULE)
  elseif rule.late then
    return note(rule.path .. " comes too late to work: its number must be below 73", INSTALL_RULE)
  end
  return ok("%s lets you open %s boards", rule.path, "ST's")
end

local BOOT0 = "BOOT0 to VDD (on an F4 also PB2 to GND), and press reset"

-- What else is on the bus that could be the board.
local function suspects(lines)
  local probe, program
  for _, other in ipairs(dfu.others()) do
    if parts.is_st_link(other.vid, other.pid) then
      probe = probe or other
    elseif other.vid == 0x0483 then
      program = program or other
    end
  end
  if probe then
    lines[#lines + 1] = ("An ST-LINK is here (%s): that is the Discovery's mini-USB; DFU needs "
      .. "the micro-USB too."):format(probe.path)
  end
  if program then
    lines[#lines + 1] = ("%s (%04x:%04x) has ST's number and no DFU: perhaps it is your board, "
      .. "running its program."):format(program.path, program.vid, program.pid)
  end
end

function on_machine.board(all)
  if #all.unmet > 0 then
    return bad("usb.no-device", ("nothing matches -d %s"):format(table.concat(all.unmet, " -d ")),
      "'moonflash list' shows what there is.")
  elseif #all.boards > 0 or all.no_usb then
    return nil
  end
  local lines = {}
  suspects(lines)
  lines[#lines + 1] = BOOT0 .. "; then run this again."
  lines[#lines + 1] = "If 'lsusb' shows nothing new even then: many cables only charge. Try "
    .. "another one, and another port."
  lines[#lines + 1] = WITHOUT
  return bad("usb.no-device", "no board with a DFU interface is there", table.concat(lines, "\n"))
end

M.on_machine = {
  { name = "system", check = on_machine.system },
  { name = "usb", check = on_machine.usb },
  { name = "rule", check = on_machine.rule },
  { name = "board", check = on_machine.board },
}

-- ---- a board: its place ----

local on_board = {}

local function bcd(version)
  return ("%x.%x"):format(version >> 8, version & 0xFF)
end

function on_board.mode(patient, all)
  local functional = patient.info.functional
  if patient.info.mode == "runtime" then
    local todo = ("'moonflash -d %s detach' puts it into DFU mode.\nIf it comes back as it is: "
      .. "%s."):format(patient.path, BOOT0)
    local found = "runs its program; it is not in DFU mode"
    return all.in_dfu and note(found, todo) or bad("usb.no-device", found, todo)
  end
  return ok("in DFU mode: %s, transfers of %s bytes", functional.dfuse and "DfuSe 1.1a"
    or "DFU " .. bcd(functional.dfu_version), functional.transfer_size or "unknown")
end

local function says_of_node(machine, node)
  local stat = machine:stat(node)
  if not stat then return node end
  return ("%s (%s:%s, mode %04o)"):format(node, machine:name_of("passwd", stat.uid),
    machine:name_of("group", stat.gid), stat.mode)
end

-- What lets this user in, from what udev has been told so far.
local function way_in(patient, machine)
  local vid, pid = patient.info.vid, patient.info.pid
  local rule = machine:rule_for(vid, pid)
  local reload = "  " .. RELOAD
  if not machine:stat("/run/udev") and machine:kind() == "container" then
    return "udev does not run in this container: whoever starts it must let you in, as root or "
      .. "with --group-add."
  elseif rule and rule.late then
    return rule.path .. " comes too late to work: its number must be below 73.\n" .. INSTALL_RULE
  elseif rule and rule.gives == "uaccess" then
    return rule.path .. " lets you in if you sit at this computer, not over ssh. If you do: plug "
      .. "the board in again, or\n" .. reload
  elseif rule then
    local stat = machine:stat(machine:node(patient.path) or "")
    local group = stat and machine:name_of("group", stat.gid)
    return ("%s lets a group in%s. If it is new, plug the board in again; else join the "
      .. "group, and log in again.%s"):format(rule.path,
      group and group ~= "root" and (", '%s'"):format(group) or "",
      group and group ~= "root" and ("\n  sudo usermod -aG %s $USER"):format(group) or "")
  elseif parts.has_rule(vid, pid) then
    return "Let whoever sits at this computer use it:\n" .. INSTALL_RULE
  end
  return ("'moonflash udev' has no rule for %04x:%04x; this is one:\n  echo '%s' |\n"
    .. "    sudo tee /etc/udev/rules.d/70-moonflash-%04x.rules\n%s"):format(vid, pid,
    parts.udev_rule(vid, pid), vid, reload)
end

function on_board.rights(patient, all)
  if patient.simulated then return nil end
  local machine = all.machine
  local node = machine:node(patient.path)
  if patient.info.forbidden or errors.matches(patient.err, "usb.permission") then
    return bad("usb.permission", "you may not open " .. (node and says_of_node(machine, node)
      or "it"), way_in(patient, machine))
  elseif not node or patient.err and not errors.matches(patient.err, "usb.busy") then
    return nil -- whether it could be opened is not known
  elseif machine:user() == 0 then
    return ok("you are root, and may open it")
  end
  local rule = machine:rule_for(patient.info.vid, patient.info.pid)
  return ok("you may open it%s", rule and not rule.late and ", by " .. rule.path or "")
end

-- Programs that open what is plugged in, to see what it is.
local CURIOUS = { "fwupd", "ModemManager" }

local function curious(machine)
  for _, name in ipairs(CURIOUS) do
    if machine:runs(name) then return name end
  end
end

function on_board.others(patient, all)
  if patient.simulated or patient.info.forbidden then return nil end
  local machine = all.machine
  local node = machine:node(patient.path)
  local holders, unseen = machine:holders(node or "")
  local who = table.concat(holders, ", ")
  local driver, interface = machine:driver(patient.path, patient.info.interface)
  local nosy = curious(machine)
  if driver and driver ~= "usbfs" then
    return bad("usb.busy", ("the kernel's driver %s has it"):format(driver),
      ("Take it from the driver:\n  echo %s | sudo tee /sys/bus/usb/drivers/%s/unbind"):format(
        interface, driver))
  elseif errors.matches(patient.err, "usb.busy") or driver == "usbfs" then
    if #holders > 0 then return bad("usb.busy", who .. " has it", "End it, or wait for it.") end
    return bad("usb.busy", "another program has it", (unseen > 0
      and ("'sudo moonflash doctor' says which: %s not shown to you.\n"):format(
        unseen == 1 and "what one process has open is" or "what others have open is") or "")
      .. (nosy and ("%s runs, which opens what is plugged in:\n  sudo systemctl stop %s"):format(
        nosy, nosy) or "End it, or wait for it."))
  elseif #holders > 0 then
    return note(who .. " has it open too, and leaves its DFU interface alone")
  elseif nosy then
    return note(("nobody has it open; %s runs, which opens what is plugged in"):format(nosy),
      "If a board is busy just after it came: --wait 10 waits for it.")
  end
  return ok("nobody else has it open")
end

-- ---- a board: what it answers ----

local function is_busy(state) return state == "dfuDNBUSY" or state == "dfuMANIFEST" end

-- GETSTATUS executes what is stored in a SYNC state; where a board is busy, or stands in dfuERROR,
-- it changes nothing.
local function wait_while_busy(board)
  local by = task.now() + BUSY
  local state = board.found
  while is_busy(state) and task.now() < by do
    local status = board:get_status()
    state = status.state
    if is_busy(state) then task.sleep(math.max(0.05, math.min(status.poll, 0.5))) end
  end
  return state
end

local RESTART = "Reset it (BOOT0 high), or plug it in again."
local MAY_ERASE = "It may be erasing, for another program say, which takes up to half a minute: "
  .. "wait, and look again.\nIf it stays so: r" .. RESTART:sub(2)
local USUAL = { errFIRMWARE = "as ST's ROMs start" }

local states = {
  dfuIDLE = function() return ok("dfuIDLE: ready") end,
  dfuERROR = function(board)
    local status = board:get_status().status
    if USUAL[status] then
      return ok("dfuERROR (%s), %s; any command clears it", status, USUAL[status])
    elseif status == "errVENDOR" then
      return note("dfuERROR (errVENDOR): a command met the read protection; the next one clears it")
    end
    return note(("dfuERROR (%s): a command failed; the next one clears it"):format(status))
  end,
  ["dfuMANIFEST-WAIT-RESET"] = function()
    return bad("dfu.reset", "dfuMANIFEST-WAIT-RESET: it has new firmware, and waits for a reset",
      RESTART)
  end,
}

for _, state in ipairs { "dfuDNLOAD-SYNC", "dfuDNLOAD-IDLE", "dfuMANIFEST-SYNC",
                         "dfuUPLOAD-IDLE" } do
  states[state] = function()
    return note(state .. ": somebody was not done with it; any command makes it ready")
  end
end

for _, state in ipairs { "dfuDNBUSY", "dfuMANIFEST" } do
  states[state] = function()
    return bad("timeout", ("%s: still busy after %d s"):format(state, BUSY),
      MAY_ERASE)
  end
end

function on_board.answer(patient, all)
  if patient.info.mode == "runtime" or all.no_usb then return nil end
  local err = patient.err
  if err and (errors.matches(err, "usb.permission") or errors.matches(err, "usb.busy")) then
    return nil -- said already
  elseif errors.matches(err, "timeout") then
    return bad("timeout", ("no answer within %d s"):format(PATIENCE), MAY_ERASE)
  elseif err then
    return from_error(err, patient.path)
  end
  local state = wait_while_busy(patient.board)
  local said = (states[state] or function()
    return bad("dfu.state", state .. ": that makes no sense in DFU mode", RESTART)
  end)(patient.board)
  patient.silent = said.good == "bad"
  return said
end

-- The rest needs a board that is open, and answers.
local function talks(check)
  return function(patient, all)
    if not patient.board or patient.silent then return nil end
    return check(patient, all)
  end
end

local COMMANDS = { [0x00] = "get commands", [0x21] = "set address", [0x41] = "erase",
                   [0x92] = "read unprotect" }

on_board.commands = talks(function(patient)
  if not dfu.fields(patient.board).dfuse then return nil end
  local codes, err = errors.catch("dfu.stall", patient.board.commands, patient.board)
  if err then return note("does not tell which commands it knows") end
  local names, erases = {}, false
  for i, code in ipairs(codes) do
    names[i] = COMMANDS[code] or ("0x%02X"):format(code)
    erases = erases or code == 0x41
  end
  local found = table.concat(names, ", ")
  if not erases then return note(found .. ": no erase among them, which is odd") end
  return ok("%s", found)
end)

local SAY_IT = "Plug it in again; if it stays, say what is there: --layout "
  .. "@Flash/0x08000000/04*016Kg,01*064Kg,07*128Kg is an STM32F407's."

-- Where a board can't be opened, the names of its memories are not known either.
function on_board.layout(patient)
  local info = patient.info
  local alts = patient.board and patient.board.alts or info.alts
  local first = alts[1]
  if info.mode == "runtime" or not patient.board and first.name == "" then return nil end
  local dfuse = patient.board and dfu.fields(patient.board).dfuse or info.functional.dfuse
  for _, alt in ipairs(alts) do
    if alt.layout.dropped then
      return bad("dfu.outside",
        ("makes no sense: %s, in '%s'"):format(alt.layout.dropped, alt.name),
        "What is left of it is used, and nothing outside of that is touched.\n" .. SAY_IT)
    end
  end
  if not dfuse then return ok("one memory, without addresses (plain DFU)") end
  if #first.layout.segments == 0 then
    return bad("dfu.outside", first.unread and "the name of its memory can't be read"
      or ("the name of its memory tells no layout: '%s'"):format(first.name), SAY_IT)
  end
  local segments = first.layout.segments
  return ok("%s, %s from %s%s", text.count(memory.number_of_sectors(segments), "sector"),
    text.size(memory.size(segments)), text.hex(segments[1].address),
    #alts > 1 and "; and " .. (#alts == 2 and "1 other memory"
      or ("%d other memories"):format(#alts - 1)) or "")
end

-- What stands at the start of the flash, in a few words.
local function program_in(bytes, erased, address)
  local sp, reset = ("<I4I4"):unpack(bytes)
  if bytes == erased:rep(#bytes) then return "it is blank: 'leave' has nothing to start" end
  if sp % 4 == 0 and sp >= 0x10000000 and sp < 0x40000000 and reset % 2 == 1 then
    return ("a program at %s starts at %s"):format(text.hex(address), text.hex(reset & ~1))
  end
  return ("no program stands at %s"):format(text.hex(address))
end

on_board.reading = talks(function(patient)
  local first = patient.board.alts[1]
  local s = first and first.layout.segments[1]
  if not s or not s.readable or s.size * s.count < 8 then return nil end
  local board, at = patient.board, s.address
  local bytes, err = errors.catch("board.protected", board.read, board, at, 8)
  if err then
    patient.protected = true
    return bad("board.protected", "read protection is on: nothing can be read, erased or written",
      err.hint)
  end
  return ok("not protected; %s", program_in(bytes, dfu.fields(board).part.erased, at))
end)

on_board.writing = talks(function(patient)
  if patient.protected or not dfu.fields(patient.board).dfuse then return nil end
  if not optbytes.family(patient.board) then
    return note("write protection only shows by writing, which is not tried")
  end
  local values, err = errors.catch("dfu", optbytes.read, patient.board)
  if err then return note("the option bytes are odd, so write protection is not known") end
  local sectors = {}
  for sector = 0, 11 do
    if values.nWRP >> sector & 1 == 0 then sectors[#sectors + 1] = tostring(sector) end
  end
  if #sectors == 0 then return ok("no sector is write-protected") end
  return note(("write-protected: sector%s %s; writing there does nothing"):format(
    #sectors > 1 and "s" or "", table.concat(sectors, ", ")),
    "'moonflash optbytes nWRP=0xFFF' ends the protection of all.")
end)

-- ---- a board: its cable, and what is odd about it ----

local SPEEDS = { ["1.5"] = "low speed, 1.5 Mbit/s", ["12"] = "full speed, 12 Mbit/s",
                 ["480"] = "high speed, 480 Mbit/s" }

function on_board.cable(patient, all)
  local retries = patient.board and not patient.silent and patient.board.retries or 0
  local words = {}
  if not patient.simulated then
    local speed = all.machine:attribute(patient.path, "speed")
    words[#words + 1] = speed and (SPEEDS[speed] or speed .. " Mbit/s")
    local _, hubs = patient.path:gsub("%.", "")
    words[#words + 1] = hubs == 0 and "no hub between" or "behind " .. text.count(hubs, "hub")
  end
  if retries > 0 then
    words[#words + 1] = text.count(retries, "request") .. " had to be sent again"
    return note(table.concat(words, "; "),
      "Is the cable good? Try a shorter one, and a port of the computer itself.")
  end
  return #words > 0 and ok("%s", table.concat(words, "; ")) or nil
end

-- Which other boards have the serial number of this one.
local function twin(patient, all)
  for _, info in ipairs(all.boards) do
    if info.path ~= patient.path and info.serial and info.serial == patient.info.serial then
      return info.path
    end
  end
end

function on_board.quirks(patient, all)
  local info = patient.board and dfu.fields(patient.board).info or patient.info
  local found, todo = {}, {}
  local other = twin(patient, all)
  if other then
    found[1], todo[1] = "has the serial number of " .. other, "Choose by path."
  end
  for _, remark in ipairs(parts.remarks(info)) do
    found[#found + 1], todo[#todo + 1] = remark.found, remark.todo
  end
  if #found > 0 then
    return note(table.concat(found, "; "), #todo > 0 and table.concat(todo, "\n") or nil)
  end
  local part = parts.of(info)
  if not part.family then return nil end
  return ok("none known of %s%s", part.family,
    part.early and "; asked early, as its ROM allows" or "")
end

M.on_board = {
  { name = "mode", check = on_board.mode },
  { name = "rights", check = on_board.rights },
  { name = "others", check = on_board.others },
  { name = "answer", check = on_board.answer },
  { name = "commands", check = on_board.commands },
  { name = "layout", check = on_board.layout },
  { name = "reading", check = on_board.reading },
  { name = "writing", check = on_board.writing },
  { name = "cable", check = on_board.cable },
  { name = "quirks", check = on_board.quirks },
}

-- ---- all of it ----

-- An error of the library's is a finding. A request that was not answered is the last that is sent.
local function run_check(row, subject, all)
  local fine, result = pcall(row.check, subject, all)
  if fine then return result end
  if not errors.is(result) or errors.matches(result, "cancelled") then error(result, 0) end
  subject.silent = true
  return from_error(result, subject.path)
end

local function run_checks(rows, subject, all, results)
  for _, row in ipairs(rows) do
    local result = run_check(row, subject, all)
    if result then
      result.check, result.path = row.name, subject.path
      results[#results + 1] = result
    end
  end
end

local function open(patient)
  if patient.info.mode ~= "dfu" then return end
  local board = dfu.at { path = patient.path }
  board.timeout = PATIENCE
  local opened, err = pcall(board.open, board)
  if opened then
    patient.board = board
  elseif errors.is(err) and not errors.matches(err, "cancelled") then
    patient.err = err
  else
    error(err, 0)
  end
end

local function examine_board(info, all, results)
  local patient = { info = info, path = info.path, simulated = info.path:find("^sim:") ~= nil }
  local function body()
    local _ <close> = setmetatable({}, { __close = function()
      if patient.board then patient.board:close() end
    end })
    open(patient)
    run_checks(M.on_board, patient, all, results)
  end
  local _, err = errors.catch("timeout", task.deadline, LONGEST, body)
  if err then
    local result = bad("timeout", ("not done within %d s"):format(LONGEST), RESTART)
    result.check, result.path = "answer", info.path
    results[#results + 1] = result
  end
end

local function examine_boards(all)
  local jobs, findings = {}, {}
  for i, info in ipairs(all.boards) do
    findings[i] = {}
    jobs[i] = task.spawn(examine_board, info, all, findings[i])
  end
  for _, job in ipairs(jobs) do job:join() end
  return findings
end

-- Only simulated boards are asked for: what the computer has in USB does not matter then.
local function all_simulated()
  local selectors = dfu.defaults.selectors or {}
  for _, selector in ipairs(selectors) do
    if not selector:find("^sim:") then return false end
  end
  return #selectors > 0
end

---Runs all checks on the boards that --device means, or on all.
---@param machine? table from moonflash.doctor.machine: for tests
---@return table report { checks = { { check=, path=, found=, good=, todo=, code= }, ... } }; it
---  prints as text
function M.examine(machine)
  local boards, unmet = list.meant()
  local all = { machine = machine or machines.new(), boards = boards, unmet = unmet,
                simulated = all_simulated(), real = false, in_dfu = false }
  for _, info in ipairs(boards) do
    all.real = all.real or not info.path:find("^sim:")
    all.in_dfu = all.in_dfu or info.mode == "dfu"
  end
  local checks = {}
  run_checks(M.on_machine, all, all, checks)
  for _, found in ipairs(examine_boards(all)) do
    table.move(found, 1, #found, #checks + 1, checks)
  end
  return report.new(checks, boards)
end

---The report, if nothing in it is bad; else raises the first thing that is, with the report.
---@param found table from examine
---@return table
function M.judge(found)
  local first, more = nil, 0
  for _, check in ipairs(found.checks) do
    if check.good == "bad" then
      more = first and more + 1 or 0
      first = first or check
    end
  end
  if not first then return found end
  errors.raise { code = first.code, path = first.path, data = found, hint = first.todo,
    message = ("%s%s%s"):format(first.path and first.path .. ": " or "", first.found,
      more > 0 and (" (and %d more)"):format(more) or "") }
end

return M

-- SPDX-License-Identifier: MIT
-- What `doctor` says of boards that look real: rights, other programs, boards that are ill.
local rig = require "rig"

local F407 = rig.F407

local function untouched(board)
  rig.check(board:peek(rig.FLASH, F407.size) == F407.old, "the flash is touched")
end

-- Runs it for people and for programs; both must come to the same. No line is too wide, and all is
-- said in a few seconds.
local function doctor(status, ...)
  local json = rig.sanitized("--json", ...)
  rig.equal(json.status, status, "status: " .. json.out .. json.err)
  local why = rig.inconsistent(json)
  if why then rig.complain("%s", why) end
  local r = rig.sanitized(...)
  rig.equal(r.status, status, "status: " .. r.out .. r.err)
  rig.check(r.seconds < rig.SLOW * 6, "it took %.1f s", r.seconds)
  for line in r.out:gmatch("[^\n]+") do
    rig.check(utf8.len(line) <= 80 or line:find("^      %s"), "too wide: %s", line)
  end
  rig.equal(r.err == "", status == 0, "nothing on standard error: " .. r.err)
  rig.equal(r.out:find("Nothing is wrong", 1, true) ~= nil, status == 0, "Nothing is wrong")
  return r, json
end

rig.case("doctor: a healthy board", function()
  local board <close> = rig.board()
  local r = doctor(0, "doctor")
  for _, line in ipairs {
    "ok  usb       1 device",
    "1-1  0483:df11  STM32  BOOTLOADER  serial 315A28A0B956",
    "ok  mode      in DFU mode: DfuSe 1.1a, transfers of 2048 bytes",
    "ok  rights    you are root, and may open it",
    "ok  answer    dfuIDLE: ready",
    "ok  commands  get commands, set address, erase, read unprotect",
    "ok  layout    12 sectors, 1 MB from 0x08000000; and 3 other memories",
    "ok  reading   not protected; no program at 0x08000000",
    "ok  writing   no sector is write-protected",
    "ok  cable     full speed, 12 Mbit/s; no hub between",
  } do
    rig.has(r.out, line, "a healthy board")
  end
  local _, lines = r.out:gsub("\n", "")
  rig.check(lines <= 24, "it takes %d lines", lines)
  untouched(board)
  rig.equal(board:claims(), 0, "claims")
end)

-- DNLOAD may carry "set address" and no other command, and never data.
rig.case("doctor: what it sends changes nothing", function()
  local DNLOAD, SET_ADDRESS_LENGTH = 1, 5
  local board <close> = rig.board { state = 10 }
  rig.equal(rig.moonflash("doctor").status, 0, "status")
  local sent = 0
  for _, e in ipairs(board:log()) do
    if e.type == 0x21 and e.request == DNLOAD then
      sent = sent + 1
      rig.check(e.value == 0 and e.length == SET_ADDRESS_LENGTH, "DNLOAD of %d bytes as block %d",
        e.length, e.value)
    end
  end
  rig.check(sent > 0, "it read nothing")
  untouched(board)
end)

rig.case("doctor: no permission", function()
  local board <close> = rig.board()
  board:lock_node(true)
  local r = rig.finish(rig.start { powerless = true, rig.SANITIZED, "doctor" })
  rig.equal(r.status, 77, "status")
  rig.has(r.out, "!!  rights    you may not open /dev/bus/usb/001/", "rights")
  rig.has(r.out, "mode 0000)", "rights")
  rig.has(r.out, "udev", "rights") -- what of it depends on this computer; tests/lua has the rest
  rig.has(r.err, "moonflash: 1-1: you may not open", "the last word")
  rig.check(not r.out:find("answer", 1, true), "it says what it can't know: %s", r.out)
end)

rig.case("doctor: a program has it, which is named", function()
  local board <close> = rig.board()
  board:begin()
  board:strike("gate", 12)
  local job = rig.start { rig.RELEASE, "flash", F407.image }
  for _ = 1, 500 do
    if board:is_held() then break end
    job:watch(0.01)
  end
  rig.check(board:is_held(), "it did not come to request 12")
  local r = doctor(75, "doctor")
  local holder = r.out:match("!!  others    ([%w_-]+ %(pid %d+%)) has it open\n")
  rig.check(holder and holder:find("^moonflash "), "the holder is not named: %s", r.out)
  board:open_gate()
  rig.equal(rig.finish(job).status, 0, "who had it")
end)

rig.case("doctor: a program has it that can't be seen", function()
  local board <close> = rig.board()
  board:occupy(true)
  local r = doctor(75, "doctor")
  rig.has(r.out, "!!  others    another program has it open\n", "others")
  untouched(board)
end)

rig.case("doctor: run-time mode", function()
  local board <close> = bed.board { kind = "dfu11" }
  local r = doctor(69, "doctor")
  rig.has(r.out, "!!  mode      runs its program; not in DFU mode\n"
    .. "      'moonflash -d 1-1 detach' puts it into DFU mode.\n", "mode")
  rig.has(r.out, "BOOT0 to VDD", "mode")
  rig.equal(board:life(), "runtime", "the board")
  -- beside one that is in DFU mode it is only worth knowing
  local other <close> = rig.board { path = "1-2" }
  r = doctor(0, "doctor")
  rig.has(r.out, "--  mode      runs its program", "mode, beside another")
  untouched(other)
end)

local function string_descriptor(text)
  return string.char(2 + 2 * #text) .. "\3" .. text:gsub(".", "%0\0")
end

local LAYOUTS = {
  ["overlaps another"] = "@Flash/0x08000000/04*016Kg/0x08000000/04*016Kg",
  ["passes 4 GiB"] = "@Flash/0xFFFFC000/04*016Kg",
  ["unreadable from character 27 on"] = "@Flash/0x08000000/04*016Kg,01*0????",
  ["has no layout: 'Internal Flash'"] = "Internal Flash",
}

rig.spread_case("doctor: a layout that makes no sense", function()
  for says, layout in pairs(LAYOUTS) do
    if rig.mine() then
      local board <close> = rig.board { strings = { [4] = string_descriptor(layout) } }
      local r = doctor(76, "doctor")
      rig.has(r.out:gsub("\n +", " "), says, layout)
      rig.has(r.out, "!!  layout", layout)
      rig.has(r.out, "--layout", layout)
      untouched(board)
    end
  end
end)

rig.case("doctor: read protection", function()
  local board <close> = bed.board { rdp = 1, state = 2, poll = 1 }
  local r = doctor(80, "doctor")
  rig.has(r.out, "!!  reading   read protection is on", "reading")
  rig.has(r.out, "ERASES THE WHOLE CHIP", "reading")
  rig.equal(board:life(), "dfu", "the board")
end)

-- Whichever request is the last one answered, doctor ends in a few seconds, and sends no more.
rig.spread_case("doctor: a board that hangs, at every request", function()
  local board <close> = rig.board()
  board:begin()
  rig.equal(rig.moonflash("doctor").status, 0, "without a fault")
  local n = board:requests()
  rig.check(n > 20, "only %d requests", n)
  for at = 1, n do
    if rig.mine() then
      board:unplug()
      board:plug()
      board:begin()
      board:strike("hang", at)
      local r = rig.moonflash("--json", "doctor")
      local why = rig.inconsistent(r)
      if why then rig.complain("at request %d: %s", at, why) end
      -- what comes last is closing, which may fail in silence
      local good = r.status == 82 or r.status == 74 or r.status == 0 and at > n - 3
      rig.check(good, "at request %d of %d: status %s: %s", at, n, r.status, r.err)
      rig.check(r.seconds < rig.SLOW * 6, "at request %d: it took %.1f s", at, r.seconds)
    end
  end
  untouched(board)
end)

rig.spread_case("doctor: faults at every request", function()
  local board <close> = rig.board()
  board:begin()
  rig.moonflash("doctor")
  local n = board:requests()
  for _, fault in ipairs { "stall", "unplug", "eproto", "short", "empty", "error", "state" } do
    for at = 1, n do
      if rig.mine() then
        board:unplug()
        board:plug()
        board:begin()
        board:strike(fault, at, fault == "state" and 77 or nil)
        local r = rig.moonflash("--json", "doctor")
        local why = rig.inconsistent(r)
        if why then rig.complain("%s at request %d: %s: %s", fault, at, why, r.err) end
        untouched(board)
      end
    end
  end
end)

rig.case("doctor: a board that stays busy", function()
  local board <close> = rig.board { state = 4 }
  board:begin()
  board:strike("stuck", 1, 4)
  local r = doctor(82, "doctor")
  rig.has(r.out, "!!  answer    dfuDNBUSY: still busy after 2 s", "answer")
end)

local function other_device(vid, pid)
  return {
    device = ("<BBI2BBBBI2I2I2BBBB"):pack(18, 1, 0x0200, 0, 0, 0, 64, vid, pid, 0x0100, 0, 0, 0, 1),
    config = ("<BBI2BBBBB"):pack(9, 2, 18, 1, 1, 0, 0xC0, 50)
      .. ("<BBBBBBBBB"):pack(9, 4, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0),
  }
end

rig.case("doctor: no board, but an ST-LINK, and what may be one", function()
  local probe, program = other_device(0x0483, 0x3748), other_device(0x0483, 0x5740)
  probe.path, program.path = "1-3", "1-5"
  local a <close> = rig.board(probe)
  local b <close> = rig.board(program)
  local r = doctor(69, "doctor")
  rig.has(r.out, "!!  board     no board with a DFU interface found\n"
    .. "      An ST-LINK is connected (1-3)", "board")
  rig.has(r.out, "1-5 (0483:5740) has ST's vendor ID and no DFU", "board")
  rig.has(r.out, "BOOT0 to VDD", "board")
  rig.check(a and b, "")
end)

rig.case("doctor: two boards with one serial number", function()
  local one <close> = rig.board()
  local two <close> = rig.board { path = "1-2.4.1" }
  local r = doctor(0, "doctor")
  rig.has(r.out, "--  quirks    has the serial number of 1-2.4.1", "quirks")
  rig.has(r.out, "--  quirks    has the serial number of 1-1", "quirks")
  rig.has(r.out, "full speed, 12 Mbit/s; behind 2 hubs", "cable")
  untouched(one)
  untouched(two)
end)

rig.case("doctor: requests that had to be sent again", function()
  local board <close> = rig.board()
  rig.moonflash("doctor")
  for at, e in ipairs(board:log()) do
    if e.type == 0xA1 and e.request == 2 and e.value == 2 then -- UPLOAD, from the flash
      board:begin()
      board:strike("eproto", at)
      break
    end
  end
  local r = rig.sanitized("doctor")
  rig.equal(r.status, 0, "status")
  rig.has(r.out:gsub("\n +", " "), "--  cable     full speed, 12 Mbit/s; no hub between; "
    .. "1 request had to be sent again Check the cable: try a shorter one", "cable")
end)

-- SPDX-License-Identifier: MIT
-- Faults 27 to 31 of the field: rights, other programs, our own at the same board, signals.
local rig = require "rig"

local F407 = rig.F407
local FLASH = { "--json", "flash", F407.image, "--leave" }

local function flash_of(board)
  return board:peek(rig.FLASH, F407.size)
end

local function untouched(board)
  rig.check(flash_of(board) == F407.old, "the flash is touched")
end

-- A client that may do no more than its user may.
local function powerless(...)
  return rig.start { powerless = true, rig.RELEASE, ... }
end

-- ---- rights ----

rig.case("27 no permission", function()
  local board <close> = rig.board()
  board:lock_node(true)
  for _, words in ipairs { FLASH, { "info" }, { "read", rig.place .. "/none.bin" } } do
    local r = rig.finish(powerless(table.unpack(words)))
    rig.equal(r.status, 77, words[1])
    rig.has(r.err, "no permission to open the board", words[1])
    rig.has(r.err, "moonflash udev | sudo tee /etc/udev/rules.d/70-moonflash.rules", words[1])
    rig.check(r.seconds < rig.SLOW * 1.5, "it took %.1f s to say so", r.seconds)
  end
  untouched(board)
  rig.equal(rig.read_file(rig.place .. "/none.bin"), nil, "the file")
end)

rig.case("27 no permission: the board is listed all the same", function()
  local board <close> = rig.board()
  board:lock_node(true)
  local r = rig.finish(powerless("list"))
  rig.equal(r.status, 0, "list")
  rig.has(r.out, "1-1   0483:df11", "list")
end)

-- Strings that the kernel read are shown and select a board; they still are the board's own words.
rig.case("27 no permission: the strings that the kernel has read", function()
  local board <close> = rig.board { attributes = { serial = "A1\27[31m\u{202E}\xFFB",
    product = "STM32  BOOTLOADER", manufacturer = "\n\n" } }
  board:lock_node(true)
  local r = rig.finish(powerless("list"))
  rig.has(r.out, "1-1   0483:df11  A1?[31m??B  STM32  BOOTLOADER", "list")
  for serial, status in pairs { ["A1?[31m??B"] = 77, ["A2"] = 69 } do
    r = rig.finish(powerless("-d", "serial=" .. serial, "info"))
    rig.equal(r.status, status, serial .. ": " .. r.err)
  end
end)

rig.case("27 no permission: a serial number that the kernel took for UTF-16", function()
  local board <close> = rig.board { attributes = { serial = "\u{4333}\u{4A42}" } } -- a GD32: 3CBJ
  board:lock_node(true)
  rig.has(rig.finish(powerless("list")).out, "1-1   0483:df11  3CBJ", "list")
end)

rig.case("27 no permission: the board was chosen by its serial number", function()
  local board <close> = rig.board()
  board:lock_node(true)
  local r = rig.finish(powerless("-d", "serial=315A28A0B956", "info"))
  rig.equal(r.status, 77, "info: " .. r.err)
end)

rig.case("27 a board just plugged in, whose rights are yet to be set", function()
  local board <close> = rig.board()
  board:unplug()
  local job = powerless("--wait", "10", table.unpack(FLASH))
  job:watch(0.4)
  board:lock_node(true)
  board:plug()
  rig.check(job:watch(0.8), "it has not waited for its rights")
  board:lock_node(false)
  local r = rig.finish(job)
  rig.equal(r.status, 0, "flash: " .. r.err)
  rig.check(flash_of(board) == F407.new, "the flash is wrong")
end)

-- ---- others ----

rig.case("28 another program has the interface", function()
  local board <close> = rig.board()
  board:occupy(true)
  for _, words in ipairs { FLASH, { "info" } } do
    local r = rig.moonflash(table.unpack(words))
    rig.equal(r.status, 75, words[1])
    rig.has(r.err, "another program, or this one, has the board open", words[1])
  end
  untouched(board)
  rig.equal(rig.moonflash("list").status, 0, "list")
  board:occupy(false)
  rig.equal(rig.moonflash(table.unpack(FLASH)).status, 0, "without it")
end)

rig.case("28 another program lets it go while we wait", function()
  local board <close> = rig.board()
  board:occupy(true)
  local job = rig.start { rig.RELEASE, "--wait", "10", table.unpack(FLASH) }
  rig.check(job:watch(0.5), "it has not waited")
  board:occupy(false)
  local r = rig.finish(job)
  rig.equal(r.status, 0, "flash: " .. r.err)
end)

-- Stops a flash run at a request, lets f happen, and goes on.
local function in_the_middle(board, at, f)
  board:begin()
  board:strike("gate", at)
  local job = rig.start { rig.RELEASE, table.unpack(FLASH) }
  for _ = 1, 500 do
    if board:is_held() then break end
    job:watch(0.01)
  end
  rig.check(board:is_held(), "it did not come to request %d", at)
  f(job)
  board:open_gate()
  return rig.finish(job)
end

rig.case("29 two of our own processes at one board", function()
  local board <close> = rig.board()
  for _, at in ipairs { 12, 16, 22, 30 } do
    board:plug()
    board:poke(rig.FLASH, F407.old)
    local r = in_the_middle(board, at, function()
      for _, words in ipairs { FLASH, { "info" }, { "leave" }, { "erase", "--all" } } do
        local other = rig.moonflash(table.unpack(words))
        rig.equal(other.status, 75, words[1])
        rig.has(other.err, "has the board open", words[1])
      end
      rig.equal(rig.moonflash("list").status, 0, "list")
    end)
    rig.equal(r.status, 0, "the first: " .. r.err)
    rig.check(flash_of(board) == F407.new, "the flash is wrong")
  end
end)

rig.case("29 two of our own start at the same moment", function()
  local board <close> = rig.board()
  for _ = 1, 8 do
    board:plug()
    board:begin()
    board:poke(rig.FLASH, F407.old)
    local jobs = { rig.start { rig.RELEASE, "--json", "flash", F407.image },
                   rig.start { rig.RELEASE, "--json", "flash", F407.image } }
    local a, b = rig.finish(jobs[1]), rig.finish(jobs[2])
    local good = { [0] = true, [75] = true }
    rig.check(good[a.status] and good[b.status] and (a.status == 0 or b.status == 0),
      "%s and %s: %s%s", a.status, b.status, a.err, b.err)
    rig.check(flash_of(board) == F407.new, "the flash is wrong")
  end
end)

-- ---- signals ----

local SET_INTERFACE = 11
local INT, TERM, HUP, KILL = 2, 15, 1, 9
local NAMES = { [INT] = "SIGINT", [TERM] = "SIGTERM", [HUP] = "SIGHUP" }
local DFU_IDLE, GETSTATE = 2, 5

local function set_up(board)
  board:unplug()
  board:plug()
  board:poke(rig.FLASH, F407.old)
  board:begin()
end

local function how_many_requests(board)
  set_up(board)
  local r = rig.moonflash(table.unpack(FLASH))
  rig.equal(r.status, 0, "without a signal: " .. r.err)
  return board:requests()
end

-- Opening changes nothing: the state is asked for, and what was found is left as it is.
local function is_touched(board)
  for _, e in ipairs(board:log()) do
    if e.type & 0x60 == 0x20 and e.request ~= GETSTATE then return true end
  end
  return false
end

-- Cancelled, and true; or it was over by then.
local function judge_cancelled(board, r, at, name)
  local where = ("%s at request %d"):format(name, at)
  rig.check(r.status == 130 or r.status == 0, "%s: status %s, signal %s: %s", where, r.status,
    r.signal, r.err)
  local why = rig.broken(r, flash_of(board), F407.old, F407.new)
  if why then rig.complain("%s: %s", where, why) end
  rig.check(r.seconds < rig.SLOW * 2, "%s: it took %.1f s to end", where, r.seconds)
  if board:life() == "dfu" and is_touched(board) then
    rig.equal(board:state(), DFU_IDLE, where .. ": the state of the board")
  end
end

local function rerun(board, where)
  board:begin()
  board:plug()
  local r = rig.moonflash(table.unpack(FLASH))
  rig.equal(r.status, 0, where .. ": run again: " .. r.err)
  rig.check(flash_of(board) == F407.new, "%s: run again: the flash is wrong", where)
end

for signal, name in pairs(NAMES) do
  rig.spread_case("30 " .. name .. " at every request", function()
    local board <close> = rig.board()
    local n = how_many_requests(board)
    for at = 1, n do
      if rig.mine() then
        set_up(board)
        board:strike("signal", at, signal)
        judge_cancelled(board, rig.moonflash(table.unpack(FLASH)), at, name)
        rerun(board, name .. " at request " .. at)
      end
    end
  end)
end

-- The request in flight never ends by itself: it is cancelled.
rig.spread_case("30 SIGINT while the board does not answer", function()
  local board <close> = rig.board()
  local n = how_many_requests(board)
  for at = 2, n, 3 do
    if rig.mine() then
      set_up(board)
      board:strike("deaf", at)
      local job = rig.start { rig.RELEASE, table.unpack(FLASH) }
      for _ = 1, 200 do
        if board:requests() >= at then break end
        job:watch(0.005)
      end
      job:watch(0.03)
      job:kill(INT)
      local r = rig.finish(job)
      local where = "at request " .. at
      -- the kernel itself waits for the answer to SET_INTERFACE, and gives it up
      local kernels = board:log()[at].request == SET_INTERFACE and r.status == 82
      rig.check(kernels or r.status == 130, "%s: status %s: %s", where, r.status, r.err)
      rig.check(r.seconds < rig.SLOW * 2.5, "%s: it took %.1f s to end", where, r.seconds)
      local why = rig.broken(r, flash_of(board), F407.old, F407.new)
      if why then rig.complain("%s: %s", where, why) end
      rerun(board, where)
    end
  end
end)

rig.spread_case("30 a second signal ends at once", function()
  local board <close> = rig.board()
  local n = how_many_requests(board)
  for at = 12, n - 1, 4 do
    if rig.mine() then
      set_up(board)
      local second = ({ INT, TERM, HUP })[at // 4 % 3 + 1]
      board:strike("signal", at, INT)
      board:strike("signal", at + 1, second)
      local job = rig.start { rig.RELEASE, table.unpack(FLASH) }
      local r = job:wait(10)
      local where = "at request " .. at
      rig.check(r.signal == second or r.status == 130, "%s: status %s, signal %s", where, r.status,
        r.signal)
      rig.check(r.seconds < 1, "%s: it took %.1f s", where, r.seconds)
      rerun(board, where)
    end
  end
end)

rig.spread_case("31 SIGKILL at every request", function()
  local board <close> = rig.board()
  local n = how_many_requests(board)
  for at = 1, n do
    if rig.mine() then
      set_up(board)
      board:strike("signal", at, KILL)
      local r = rig.start({ rig.RELEASE, table.unpack(FLASH) }):wait(10)
      rig.check(r.signal == KILL or at == n, "at request %d: status %s", at, r.status)
      rig.check(flash_of(board):sub(F407.erased + 1) == F407.old:sub(F407.erased + 1),
        "at request %d: something outside the plan has changed", at)
      rerun(board, "at request " .. at)
    end
  end
end)

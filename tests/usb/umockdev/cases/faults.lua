-- SPDX-License-Identifier: MIT
-- Faults of the field that are not a matter of every request, each by its number.
local rig = require "rig"

local F407, L452 = rig.F407, rig.L452
local FLASH = { "--json", "flash", F407.image, "--leave" }
local HASTY = { "--json", rig.HASTY, F407.image, "--leave" }
local DNLOAD, UPLOAD, CLRSTATUS, GETSTATE = 1, 2, 4, 5

local function flash_of(board, scene)
  return board:peek(rig.FLASH, (scene or F407).size)
end

local function set_up(board, scene)
  scene = scene or F407
  board:unplug()
  board:plug()
  board:poke(rig.FLASH, scene.old)
  board:begin()
end

-- Holds a run to the promises; returns it.
local function judged(board, words, where, scene)
  scene = scene or F407
  local r = rig.moonflash(table.unpack(words))
  local why = rig.broken(r, flash_of(board, scene), scene.old, scene.new)
  if why then rig.complain("%s: %s", where, why) end
  return r
end

local function passes(board, words, where, scene)
  local r = judged(board, words, where, scene)
  rig.equal(r.status, 0, where .. ": " .. r.err)
  return r
end

local function rerun(board, where)
  board:unplug()
  set_up(board)
  passes(board, FLASH, where .. ", run again")
end

local function count(board, request)
  local n = 0
  for _, e in ipairs(board:log()) do
    if e.type & 0x60 == 0x20 and e.request == request then n = n + 1 end
  end
  return n
end

-- ---- 1, 3, 4: boards that go ----

rig.case("1 unplugged before it is opened", function()
  local board <close> = rig.board()
  board:unplug()
  for _, words in ipairs { FLASH, { "--json", "info" }, { "--json", "-d", "1-1", "leave" } } do
    local r = rig.moonflash(table.unpack(words))
    rig.equal(r.status, 69, words[2])
    rig.has(r.err, "no board in DFU mode", words[2])
  end
end)

rig.spread_case("1 unplugged while its strings are read", function()
  local board <close> = rig.board()
  for at = 1, 10 do
    for _, words in ipairs { { "list" }, { "info" } } do
      if rig.mine() then
        set_up(board)
        board:strike("unplug", at)
        local r = rig.moonflash(table.unpack(words))
        local good = r.status == 74 or r.status == 69 or r.status == 0 and words[1] == "list"
        rig.check(good, "%s at request %d: status %s: %s", words[1], at, r.status, r.err)
      end
    end
  end
end)

-- From the last block of the verification on, all is verified, however the leave ends.
rig.case("3 unplugged after the last block, before and after leave", function()
  local board <close> = rig.board()
  set_up(board)
  passes(board, FLASH, "without a fault")
  local log, last = board:log(), 0
  for at, e in ipairs(log) do
    if e.type == 0xA1 and e.request == UPLOAD then last = at end
  end
  for _, kind in ipairs { "unplug", "yank", "power" } do
    for at = last + 1, #log do
      set_up(board)
      board:strike(kind, at)
      local where = ("%s at request %d of %d"):format(kind, at, #log)
      local r = judged(board, FLASH, where)
      rig.check(flash_of(board) == F407.new, "%s: the flash is wrong", where)
      if r.status == 0 then
        rig.check(r.result.verified, "%s: it passed, not verified", where)
      else
        local range = r.result.ranges[1]
        rig.check(range.state == "verified" and range.last == rig.FLASH + #F407.bytes - 1,
          "%s: it said: %s", where, r.result.flash)
      end
    end
  end
end)

rig.case("3 unplugged after the last block, unverified", function()
  local board <close> = rig.board()
  local words = { "--json", "flash", F407.image, "--no-verify", "--leave" }
  set_up(board)
  local r = passes(board, words, "without a fault")
  rig.equal(r.result.unverified, "--no-verify", "unverified")
  local n = board:requests()
  for at = n - 5, n do
    set_up(board)
    board:strike("unplug", at)
    r = judged(board, words, "at request " .. at)
    rig.check(not r.result.verified, "it says that it is verified")
  end
end)

rig.case("4 the program never comes up after leave", function()
  local board <close> = rig.board()
  local recipe = rig.write_file("app.lua", ([[
    return { api = 1, summary = "x", args = {},
      setup = function() return image.load(%q) end,
      run = function(board, _, firmware)
        flash.write(board, firmware)
        board:leave(firmware.start)
        board:wait_app(0.3)
      end }]]):format(F407.image))
  set_up(board)
  local r = judged(board, { "--json", recipe }, "wait_app")
  rig.equal(r.status, 82, "status")
  rig.has(r.err, "no USB device of the program appeared within 0.3 s", "message")
  rig.check(flash_of(board) == F407.new, "the flash is wrong")
  rig.equal(r.result.ranges[1].state, "verified", "the claim")
end)

-- ---- 8, 9, 10, 11: states and times ----

rig.case("8 in dfuERROR at the start", function()
  local board <close> = rig.board { state = 10 }
  passes(board, FLASH, "dfuERROR")
  rig.equal(count(board, CLRSTATUS), 1, "CLRSTATUS")
end)

rig.case("8 stuck in dfuERROR", function()
  local board <close> = rig.board { state = 10 }
  board:strike("stuck", 1, 10)
  local r = judged(board, FLASH, "stuck")
  rig.equal(r.status, 76, "status: " .. r.err)
  rig.check(count(board, CLRSTATUS) <= 6, "%d times CLRSTATUS", count(board, CLRSTATUS))
  rerun(board, "stuck")
end)

rig.spread_case("9 stuck in dfuDNBUSY, from every second request on", function()
  local board <close> = rig.board()
  set_up(board)
  passes(board, HASTY, "without a fault")
  for at = 9, board:requests(), 2 do
    if rig.mine() then
      set_up(board)
      board:strike("stuck", at, 4)
      local where = "from request " .. at
      local r = judged(board, HASTY, where)
      rig.check(r.status == 82 or r.status == 76 or r.status == 0, "%s: status %s: %s", where,
        r.status, r.err)
      rig.check(r.seconds < rig.SLOW * 4, "%s: it took %.1f s", where, r.seconds)
      rerun(board, where)
    end
  end
end)

local STATES = { [2] = "dfuIDLE", [3] = "dfuDNLOAD-SYNC", [5] = "dfuDNLOAD-IDLE",
                 [6] = "dfuMANIFEST-SYNC", [9] = "dfuUPLOAD-IDLE", [10] = "dfuERROR" }
for state, name in pairs(STATES) do
  rig.case("10 starts in " .. name, function()
    local board <close> = rig.board { state = state }
    -- the command that is left over in dfuDNLOAD-SYNC would erase the first sector
    rig.equal(rig.moonflash("info").status, 0, "info")
    rig.check(flash_of(board) == F407.old, "info has changed the flash")
    rig.equal(rig.moonflash("read", rig.place .. "/10.bin", "--length", "100").status, 0, "read")
    rig.equal(rig.read_file(rig.place .. "/10.bin"), F407.old:sub(1, 100), "what was read")
    os.remove(rig.place .. "/10.bin")
    rig.check(flash_of(board) == F407.old, "read has changed the flash")
    passes(board, FLASH, "flash")
  end)
end

for state, name in pairs { [7] = "dfuMANIFEST", [8] = "dfuMANIFEST-WAIT-RESET", [0] = "appIDLE" } do
  rig.case("10 says that it is in " .. name, function()
    local board <close> = rig.board()
    board:strike("stuck", 1, state)
    local r = judged(board, HASTY, "flash")
    rig.check(r.status == 76 or r.status == 82, "status %s: %s", r.status, r.err)
    rig.check(flash_of(board) == F407.old, "the flash is touched")
    rerun(board, "flash")
  end)
end

for _, scene in ipairs { F407, L452 } do
  for _, poll in ipairs { 0, 0xFFFFFF } do
    rig.case(("11 bwPollTimeout 0x%X on %s"):format(poll, scene.kind), function()
      local board <close> = rig.board({ poll = poll }, scene)
      local r = judged(board, { "--json", rig.HASTY, scene.image }, "flash", scene)
      rig.check(r.status == 0 or r.status == 82, "status %s: %s", r.status, r.err)
      rig.check(poll ~= 0 or r.status == 0, "it failed: %s", r.err)
      rig.check(r.seconds < rig.SLOW * 15, "it took %.1f s", r.seconds)
    end)
  end
end

-- ---- 12: boards that do not answer ----

for _, kind in ipairs { "hang", "deaf" } do
  rig.spread_case(("12 %s at every request"):format(kind == "hang" and "hung from one request on,"
    or "no answer to one request,"), function()
    local board <close> = rig.board()
    set_up(board)
    passes(board, HASTY, "without a fault")
    local log = board:log()
    for at, e in ipairs(log) do
      local string = e.type & 0x60 == 0 and at < 10
      if rig.mine() then
        set_up(board)
        board:strike(kind, at)
        local where = ("%s at request %d (%02x %02x %04x)"):format(kind, at, e.type, e.request,
          e.value)
        local r = judged(board, HASTY, where)
        local stays = r.result and r.result.code == "dfu.still-there" -- it hung after it was told
        rig.check(r.status == 82 or r.status == 0 or stays, "%s: status %s: %s", where, r.status,
          r.err)
        local limit = not string and 6 or kind == "hang" and 7 or 2
        rig.check(r.seconds < rig.SLOW * limit, "%s: it took %.1f s", where, r.seconds)
        rerun(board, where)
      end
    end
  end)
end

rig.case("12 a board that hangs is listed", function()
  local board <close> = rig.board { attributes = { product = "STM32  BOOTLOADER" } }
  board:strike("hang", 1)
  local r = rig.moonflash("list")
  rig.equal(r.status, 0, "status: " .. r.err)
  rig.has(r.out, "1-1   0483:df11  -       STM32  BOOTLOADER", "list")
  rig.check(r.seconds < rig.SLOW * 1.5, "it took %.1f s", r.seconds)
end)

rig.case("12 a board that hangs is not asked again at once", function()
  local board <close> = rig.board()
  board:strike("hang", 1)
  rig.equal(rig.moonflash("-e", "dfu.list() dfu.list()").status, 0, "status")
  rig.equal(board:requests(), 1, "requests")
end)

rig.case("12 eight boards that hang are listed in the time of one", function()
  local boards <close> = setmetatable({}, { __close = function(list)
    for _, board in ipairs(list) do getmetatable(board).__close(board) end
  end })
  for i = 1, 8 do
    boards[i] = rig.board { path = "1-" .. i, serial = "AA0" .. i }
    boards[i]:strike("hang", 1)
  end
  local r = rig.moonflash("list")
  rig.equal(r.status, 0, "status: " .. r.err)
  for i = 1, 8 do rig.has(r.out, ("1-%d   0483:df11"):format(i), "list") end
  rig.check(r.seconds < 7, "it took %.1f s", r.seconds) -- 1 s each, one after the other: 8 s
end)

-- A ROM that erases delays its answer to every request until it is done.
rig.case("12 erasing for another program", function()
  local board <close> = rig.board()
  board:strike("deaf", 1) -- the first string
  board:strike("deaf", 1, 0, GETSTATE)
  local r = rig.moonflash("--json", table.unpack(FLASH, 2))
  rig.equal(r.status, 82, "without patience: " .. r.err)
  rig.has(r.err, "1-1: no answer while reporting its state", "message")
  rig.has(r.err, "may still be erasing for another program", "hint")
  rig.check(flash_of(board) == F407.old, "the flash is touched")
  board:begin()
  board:strike("deaf", 1)
  board:strike("delay", 1, 6, GETSTATE)
  r = rig.moonflash("--json", "--wait", "20", table.unpack(FLASH, 2))
  rig.equal(r.status, 0, "with --wait: " .. r.err)
  rig.check(flash_of(board) == F407.new, "the flash is wrong")
end)

rig.case("12 the first GETSTATUS of an erase takes two seconds", function()
  local board <close> = rig.board()
  set_up(board)
  passes(board, FLASH, "without a fault")
  for at, e in ipairs(board:log()) do
    if e.type == 0x21 and e.request == DNLOAD then
      set_up(board)
      board:strike("delay", at + 1, 2)
      break
    end
  end
  passes(board, FLASH, "two seconds late")
end)

-- ---- 14 to 17: protections ----

rig.case("14 a write-protected sector", function()
  local board <close> = rig.board { wrp = 1 }
  local r = rig.moonflash(table.unpack(FLASH))
  rig.equal(r.status, 80, "status: " .. r.err)
  rig.check(flash_of(board) == F407.old, "the flash has changed")
  rig.equal(#r.result.ranges, 0, "the claims")
  rig.has(r.err, "protect the sectors at 0x08000000 against writing", "message")
  -- where nothing is read before, verification finds it
  r = rig.moonflash("--json", "flash", F407.image, "--full", "--no-verify", "--trust-erase")
  rig.equal(r.status, 0, "without reading: " .. r.err)
  rig.check(r.result.unverified and not r.result.verified, "it does not say so")
  r = rig.moonflash("--json", "verify", F407.image)
  rig.equal(r.status, 79, "verify: " .. r.err)
end)

rig.case("15 verification is not wanted", function()
  local board <close> = rig.board()
  local r = rig.moonflash("flash", F407.image, "--no-verify")
  rig.equal(r.status, 0, "status")
  rig.has(r.err, "NOT VERIFIED", "message")
  rig.check(flash_of(board) == F407.new, "the flash is wrong")
end)

rig.case("15 plain DFU can't be verified, and starts at once", function()
  local board <close> = rig.plain_board()
  local image = rig.write_file("plain.bin", ("<I4I4"):pack(0x20005000, 0x41) .. ("x"):rep(3000))
  local r = rig.moonflash("--json", "flash", image, "--address", "0", "--force")
  rig.equal(r.status, 0, "status: " .. r.err)
  rig.check(r.result.unverified and not r.result.verified, "it does not say so")
  rig.equal(board:life(), "runtime", "the board")
end)

rig.case("16 read protection", function()
  local board <close> = rig.board { rdp = 1 }
  for _, words in ipairs { FLASH, { "--json", "read", rig.place .. "/rdp.bin" },
    { "--json", "verify", F407.image } } do
    local r = rig.moonflash(table.unpack(words))
    rig.equal(r.status, 80, words[2] .. ": " .. r.err)
    rig.equal(r.result.code, "board.protected", words[2])
    rig.has(r.err, "read protection is on", words[2])
    rig.has(r.err, "ERASES THE WHOLE CHIP", words[2])
  end
  rig.check(flash_of(board) == F407.old, "the flash has changed")
  local r = rig.moonflash("info")
  rig.equal(r.status, 0, "info: " .. r.err)
  rig.has(r.out, "read protection is on", "info")
end)

rig.case("16 removing the read protection, on request", function()
  local board <close> = rig.board { rdp = 1 }
  rig.equal(rig.moonflash("unprotect").status, 64, "unprotect without --yes")
  local r = rig.moonflash("unprotect", "--yes")
  rig.equal(r.status, 0, "unprotect: " .. r.err)
  rig.check(flash_of(board) == ("\255"):rep(F407.size), "the flash is not erased")
  rig.equal(rig.moonflash(table.unpack(FLASH)).status, 0, "flash")
end)

rig.case("17 writing option bytes resets the board", function()
  local board <close> = rig.board()
  local recipe = rig.write_file("options.lua", [[
    return { api = 1, summary = "x", args = {},
      run = function(board)
        local bytes = board:read(0x1FFFC000, 16)
        board:write(0x1FFFC000, bytes)
        if board.is_open then fail("the board is still open") end
        board:open { wait = 5 }
        if board:read(0x1FFFC000, 16) ~= bytes then fail("they have changed") end
      end }]])
  local r = rig.moonflash("--json", recipe)
  rig.equal(r.status, 0, "status: " .. r.err)
  rig.check(flash_of(board) == F407.old, "the flash has changed")
end)

rig.case("17 option bytes by name, through the reset", function()
  local board <close> = rig.board()
  local r = rig.moonflash("optbytes", "BOR_LEV=2", "nWRP=0xFFE")
  rig.equal(r.status, 0, "status: " .. r.err)
  rig.has(r.err, "wrote 16 B, verified", "what it said")
  rig.equal(board:peek(0x1FFFC000, 10), "\xEB\xAA" .. ("\255"):rep(6) .. "\xFE\x0F", "the bytes")
  rig.check(flash_of(board) == F407.old, "the flash has changed")
  rig.equal(rig.moonflash(table.unpack(FLASH)).status, 80, "flash, the first sector protected")
end)

-- ---- 32, 37: boards that come back ----

rig.case("37 a board that comes back under another number is the same place", function()
  local board <close> = rig.board()
  local recipe = rig.write_file("back.lua", [[
    return { api = 1, summary = "x", args = {},
      run = function(board)
        local ok, err = pcall(board.read, board, 0x08000000, 100000)
        if ok then fail("it was not unplugged") end
        board:open { wait = 5 }
        return { first = err.code, bytes = #board:read(0x08000000, 1000) }
      end }]])
  set_up(board)
  board:strike("power", 30)
  local r = rig.moonflash("--json", recipe)
  rig.equal(r.status, 0, "status: " .. r.err)
  rig.equal(r.result and r.result.data and r.result.data.first, "usb.gone", "the first read")
end)

rig.case("37 waits for a board that comes", function()
  local board <close> = rig.board()
  board:unplug()
  local job = rig.start { rig.RELEASE, "--wait", "10", table.unpack(FLASH) }
  rig.check(job:watch(0.6), "it has not waited")
  board:plug()
  local r = rig.finish(job)
  rig.equal(r.status, 0, "status: " .. r.err)
  rig.check(flash_of(board) == F407.new, "the flash is wrong")
end)

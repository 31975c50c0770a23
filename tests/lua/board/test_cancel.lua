-- SPDX-License-Identifier: MIT
-- Tests cancelling: delivered once to each task, through any pcall; then five seconds of clean-up
-- in which everything works; then no more.
local catch = require "moonflash.errors".catch
local dfu = require "dfu"
local lu = require "luaunit"
local optbytes = require "moonflash.optbytes"
local sim = require "sim"
local support = require "support"
local task = require "task"

local SECTOR = 0x08000000
local OPTION_BYTES = 0x1FFFC000

local assert_fails, assert_raises = support.assert_fails, support.assert_raises
local close_with, seconds, turns = support.close_with, support.seconds, support.turns

-- Runs f as a task and cancels it after a second. Returns the Task, and the seconds until its end.
local function cancelled(f, ...)
  local job = task.spawn(f, ...)
  task.sleep(1)
  job:cancel()
  local took = seconds(assert_raises, "cancelled", job.join, job)
  return job, took
end

-- The same by a deadline of a second, for an f that pumps: no other task can cancel it.
local function timed_out(f)
  return seconds(assert_raises, "timeout", task.deadline, 1, f) - 1
end

local TestCancel = {}

function TestCancel.test_where_it_waits()
  local _, took = cancelled(task.sleep, 100)
  lu.assertEquals(took, 0)
end

function TestCancel.test_join_tells()
  local job = cancelled(task.sleep, 100)
  assert_raises("cancelled", job.join, job)
  lu.assertEquals(tostring(job), "Task (failed)")
end

function TestCancel.test_it_goes_through_pcall()
  local after = 0
  local _, took = cancelled(function()
    while not pcall(task.sleep, 100) do after = after + 1 end
  end)
  lu.assertEquals({ took, after }, { 0, 0 })
  cancelled(function()
    pcall(pcall, pcall, function() task.sleep(100) end)
    after = after + 1
  end)
  cancelled(function()
    xpcall(task.sleep, function() after = after + 1 end, 100)
    after = after + 1
  end)
  cancelled(function()
    catch("cancelled", task.sleep, 100)
    after = after + 1
  end)
  lu.assertEquals(after, 0)
end

function TestCancel.test_it_goes_through_coroutines()
  local closed, after = {}, 0
  local function work(name)
    local _ <close> = close_with(function()
      task.sleep(0.5) -- clean-up pumps here
      closed[#closed + 1] = name
    end)
    task.sleep(100)
  end
  cancelled(function()
    coroutine.resume(coroutine.create(work), "resume")
    after = after + 1
  end)
  cancelled(function()
    pcall(coroutine.wrap(work), "wrap")
    after = after + 1
  end)
  cancelled(function()
    local inner = coroutine.wrap(function()
      coroutine.resume(coroutine.create(work), "nested")
      after = after + 1
    end)
    while not pcall(inner) do after = after + 1 end
  end)
  lu.assertEquals(closed, { "resume", "wrap", "nested" })
  lu.assertEquals(after, 0)
end

function TestCancel.test_a_coroutine_can_not_make_another_error_of_it()
  for _, call in ipairs { coroutine.resume, function(co) return pcall(coroutine.close, co) end } do
    local after = 0
    timed_out(function()
      local co = coroutine.create(function()
        local _ <close> = close_with(function()
          pcall(task.sleep, 100)
          error("instead", 0)
        end)
        if call ~= coroutine.resume then coroutine.yield() end
        task.sleep(100)
      end)
      if call ~= coroutine.resume then coroutine.resume(co) end
      call(co)
      after = after + 1
    end)
    lu.assertEquals(after, 0)
  end
end

function TestCancel.test_in_close_of_a_coroutine()
  local after = 0
  timed_out(function()
    local co = coroutine.create(function()
      local _ <close> = close_with(function() task.sleep(100) end)
      coroutine.yield()
    end)
    coroutine.resume(co)
    pcall(coroutine.close, co)
    after = after + 1
  end)
  lu.assertEquals(after, 0)
end

function TestCancel.test_where_it_pumps()
  local after, begun = 0, false
  local job = task.spawn(function()
    local other = task.current()
    begun = true
    table.sort({ 1, 2, 3 }, function()
      other:cancel() -- of itself, in a sort
      after = after + 1
    end)
  end)
  assert_raises("cancelled", job.join, job)
  lu.assertTrue(begun)
  lu.assertEquals(after, 0)
  -- others can't run meanwhile, but the clock goes on
  assert_raises("timeout", task.deadline, 1, function()
    ("abc"):gsub(".", function() task.sleep(100) end)
    after = after + 1
  end)
  assert_raises("timeout", task.deadline, 1, function()
    table.sort({ 1, 2, 3 }, coroutine.wrap(function() task.sleep(100) end))
    after = after + 1
  end)
  lu.assertEquals(after, 0)
end

function TestCancel.test_before_it_began()
  local ran = false
  local job = task.spawn(function() ran = true end)
  job:cancel()
  assert_raises("cancelled", job.join, job)
  lu.assertFalse(ran)
end

function TestCancel.test_itself()
  local after = 0
  local job
  job = task.spawn(function()
    pcall(function()
      job:cancel()
      after = after + 1
    end)
    after = after + 1
  end)
  assert_raises("cancelled", job.join, job)
  lu.assertEquals(after, 0)
end

function TestCancel.test_twice_and_too_late()
  local job = cancelled(function()
    local _ <close> = close_with(function() task.sleep(2) end)
    task.sleep(100)
  end)
  job:cancel()
  assert_raises("cancelled", job.join, job)
  local done = task.spawn(function() return "result" end)
  done:join()
  done:cancel()
  lu.assertEquals(done:join(), "result")
  local slow = task.spawn(function()
    local _ <close> = close_with(function() task.sleep(2) end)
    task.sleep(100)
  end)
  task.sleep(1)
  slow:cancel()
  task.sleep(1)
  slow:cancel() -- it is cleaning up: once is enough
  lu.assertAlmostEquals(seconds(pcall, slow.join, slow), 1, 0.001)
end

function TestCancel.test_a_task_may_end_in_good_order_all_the_same()
  local f, message = task.deadline(1, function()
    return load(function() task.sleep(100) end) -- load catches it, and there is nothing after
  end)
  lu.assertNil(f)
  lu.assertEquals(tostring(message), "not done within 1 s")
end

function TestCancel.test_what_swallows_it_ends_with_the_time_for_clean_up()
  local rounds = 0
  local took = timed_out(function()
    while true do
      load(function() task.sleep(100) end)
      rounds = rounds + 1
      task.sleep(1)
    end
  end)
  lu.assertAlmostEquals(took, 5, 1.1)
  lu.assertTrue(rounds < 10)
end

-- ---- clean-up ----

function TestCancel.test_clean_up_waits_as_ever()
  local heard
  local n = turns(cancelled, function()
    local _ <close> = close_with(function(_, err)
      task.sleep(4)
      heard = err.code
    end)
    task.sleep(100)
  end)
  lu.assertEquals(heard, "cancelled")
  lu.assertTrue(n > 45, "and others go on meanwhile")
end

function TestCancel.test_clean_up_ends_after_five_seconds()
  local slept = 0
  local function sleep_on()
    while true do
      pcall(task.sleep, 1)
      slept = slept + 1
    end
  end
  local _, took = cancelled(function()
    local _ <close> = close_with(sleep_on)
    task.sleep(100)
  end)
  lu.assertAlmostEquals(took, 5, 0.001)
  lu.assertTrue(slept <= 5)
  _, took = cancelled(function()
    local _ <close> = close_with(function() task.sleep(100) end)
    task.sleep(100)
  end)
  lu.assertAlmostEquals(took, 5, 0.001)
end

function TestCancel.test_each_close_has_its_turn()
  local order = {}
  cancelled(function()
    for i = 1, 3 do
      order[#order + 1] = i
      if i == 3 then
        local _ <close> = close_with(function()
          order[#order + 1] = "a"
          error("in the clean-up")
        end)
        local _ <close> = close_with(function()
          task.sleep(1)
          order[#order + 1] = "b"
        end)
        task.sleep(100)
      end
    end
  end)
  lu.assertEquals(order, { 1, 2, 3, "b", "a" })
end

function TestCancel.test_clean_up_catches_its_own_errors()
  local caught = {}
  cancelled(function()
    local _ <close> = close_with(function()
      caught[1] = { pcall(error, "one", 0) }
      caught[2] = { xpcall(error, function(m) return m .. "!" end, "two", 0) }
      caught[3] = { coroutine.resume(coroutine.create(error), "three", 0) }
      task.sleep(1)
      caught[4] = { pcall(function()
        task.sleep(1)
        error("four", 0)
      end) }
    end)
    task.sleep(100)
  end)
  lu.assertEquals(caught, { { false, "one" }, { false, "two!" }, { false, "three" },
                            { false, "four" } })
end

function TestCancel.test_a_clean_up_that_never_waits_is_stopped()
  cancelled(function()
    local _ <close> = close_with(function()
      task.sleep(4.9)
      while true do end
    end)
    task.sleep(100)
  end)
end

-- The virtual clock moves when the watchdog's hook has run.
local function compute()
  local before = task.now()
  while task.now() == before do end -- luacheck: ignore 542
end

function TestCancel.test_the_hook_of_a_script_comes_back()
  local calls = 0
  local function hook() calls = calls + 1 end
  local _ <close> = close_with(function() debug.sethook() end)
  debug.sethook(hook, "c", 500)
  coroutine.wrap(function()
    compute()
    lu.assertNil((debug.gethook()))
    debug.sethook(hook, "", 300)
    compute()
    lu.assertEquals({ debug.gethook() }, { hook, "", 300 })
  end)()
  compute()
  lu.assertEquals({ debug.gethook() }, { hook, "c", 500 })
  calls = 0
  tostring(calls)
  lu.assertTrue(calls > 0)
end

function TestCancel.test_one_in_a_coroutine_that_is_closed_is_stopped()
  timed_out(function()
    local co = coroutine.create(function()
      local _ <close> = close_with(function() while true do end end)
      coroutine.yield()
    end)
    coroutine.resume(co)
    task.sleep(0.9)
    coroutine.close(co)
  end)
end

function TestCancel.test_clean_up_may_spawn_and_set_deadlines()
  local spawned, late, in_time = 0, nil, nil
  local job = task.spawn(function()
    local _ <close> = close_with(function()
      in_time = task.deadline(2, function()
        task.sleep(1)
        return "in time"
      end)
      late = select(2, catch("timeout", task.deadline, 1, task.sleep, 100))
      task.spawn(function()
        while true do
          pcall(task.sleep, 1)
          spawned = spawned + 1
        end
      end)
    end)
    task.sleep(100)
  end)
  task.sleep(1)
  job:cancel()
  assert_raises("cancelled", job.join, job)
  lu.assertEquals(in_time, "in time")
  lu.assertEquals(late.code, "timeout")
  task.sleep(20) -- what it spawned ends with its time
  lu.assertTrue(spawned >= 1 and spawned <= 3)
end

-- ---- several tasks ----

function TestCancel.test_who_joins_is_not_who_is_joined()
  local long = task.spawn(function()
    task.sleep(10)
    return "alive"
  end)
  local _, took = cancelled(long.join, long)
  lu.assertEquals(took, 0)
  lu.assertEquals(long:join(), "alive")
end

function TestCancel.test_a_deadline_s_task_ends_with_its_owner()
  local ended
  local _, took = cancelled(task.deadline, 1000, function()
    local _ <close> = close_with(function()
      task.sleep(1)
      ended = task.now()
    end)
    task.sleep(500)
  end)
  lu.assertNotNil(ended)
  lu.assertAlmostEquals(took, 1, 0.001)
end

function TestCancel.test_cancelling_who_waits_for_each_other()
  local a = task.spawn(task.sleep, 10)
  local b = task.spawn(a.join, a)
  local c = task.spawn(b.join, b)
  task.sleep(1)
  a:cancel()
  assert_raises("cancelled", c.join, c) -- as any error of a task
end

-- ---- boards ----

function TestCancel.test_in_an_erase()
  local place <close> = sim.new("f407,usb=ideal")
  local board <close> = dfu.open(place.path)
  local job = task.spawn(function()
    while not pcall(board.erase_page, board, SECTOR + 0x4000) do task.sleep(0) end
    while true do board:erase_page(SECTOR + 0x4000) end
  end)
  task.sleep(0.6)
  job:cancel()
  local err = assert_raises("cancelled", job.join, job)
  lu.assertEquals(err.path, place.path)
  lu.assertEquals(err.op, "erase")
  lu.assertEquals(err.address, SECTOR + 0x4000)
  lu.assertStrContains(err.message, "cancelled while erasing 0x08004000")
  lu.assertStrContains(err.flash, "in doubt")
  lu.assertEquals(err.ranges, { { state = "doubt", first = 0x08004000, last = 0x08007FFF } })
  -- and the board is as good as before
  board:erase_page(SECTOR)
  lu.assertEquals(board:read(SECTOR, 4), "\xFF\xFF\xFF\xFF")
end

function TestCancel.test_clean_up_uses_boards()
  local place <close> = sim.new("f407,usb=ideal")
  local state
  cancelled(function()
    local board <close> = dfu.open(place.path)
    local _ <close> = close_with(function()
      board:erase_page(SECTOR)
      state = board:get_status().state
    end)
    while true do board:erase_page(SECTOR + 0x20000) end
  end)
  lu.assertEquals(state, "dfuDNLOAD-IDLE")
  local board <close> = dfu.open(place.path)
  lu.assertEquals(board.found_state, "dfuIDLE")
end

function TestCancel.test_in_every_operation()
  local operations = {
    function(board) board:erase_page(SECTOR) end,
    function(board) board:write(SECTOR + 0x10000, ("x"):rep(5000)) end,
    function(board) board:read(SECTOR, 5000) end,
    function(board) board:mass_erase() end,
    function(board) board:get_status() end,
    function(board) board:get_state() end,
    function(board) board:clear_status() end,
    function(board) board:abort() end,
    function(board) board:commands() end,
    function(board) board:set_address(SECTOR) end,
    function(board) board:upload_block(2, 2048) end,
    function(board) board:download_block(2, "1234") end,
    function(board) board:control(0xA1, 3, 0, 0, 6) end,
    function(board) board:leave() end,
    function(board) board:open { wait = 10 } end,
    function(board) board:wait_app(10) end,
  }
  for i, operation in ipairs(operations) do
    for _, after in ipairs { 0, 0.0001, 0.0013, 0.01, 0.1 } do
      local place <close> = sim.new("f407,usb=ideal")
      local board <close> = dfu.at(place.path)
      if i < 15 then board:open() end
      local job = task.spawn(function()
        while pcall(operation, board) do task.sleep(0) end
        task.sleep(100)
      end)
      task.sleep(after)
      job:cancel()
      local what = ("operation %d, %g s"):format(i, after)
      local ok, err = pcall(job.join, job)
      lu.assertFalse(ok)
      lu.assertEquals(err.code, "cancelled", what)
      if board.is_open and i ~= 4 then -- a mass erase goes on, and the board is deaf meanwhile
        lu.assertTrue(pcall(board.get_state, board), what)
      end
    end
  end
end

-- A caller that does not wait for an erase is told that the board is busy with that erase.
function TestCancel.test_it_still_erases_what_it_was_told()
  local place <close> = sim.new("f407,usb=ideal")
  local board <close> = dfu.open(place.path)
  cancelled(board.mass_erase, board)
  cancelled(dfu.to_idle, board)
  local err = assert_raises("timeout", board.get_state, board)
  lu.assertEquals(err.hint, "The board is still erasing everything, for up to 58 s more.\n"
    .. "Wait, and try again.\nIf that does not help, reset or reconnect the board (BOOT0 high) "
    .. "and run the\nsame command again.")
  lu.assertStrContains(assert_raises("timeout", board.read, board, SECTOR, 4).hint, " 53 s more")
  task.sleep(10)
  lu.assertEquals(board:read(SECTOR, 4), "\255\255\255\255")
  board:erase_page(SECTOR)
  place:fault("hang", place.requests + 1)
  err = assert_raises("timeout", board.get_state, board)
  lu.assertStrContains(err.hint, "The board may still be erasing for another program")
end

-- Whichever request is cancelled, also while the board is opened again, the journal stays true.
function TestCancel.test_the_journal_is_true_at_any_moment()
  local untrue, unknown = {}, {}
  for ms = 0, 240, 2 do
    local place <close> = sim.new("f407")
    local board <close> = dfu.open(place.path)
    local before = place:peek(OPTION_BYTES, 16)
    local job = task.spawn(function()
      board:write(SECTOR + 0x4000, "abc")
      optbytes.write(board, { BOR_LEV = 1 })
      task.sleep(100)
    end)
    task.sleep(ms / 1000)
    job:cancel()
    local err = assert_raises("cancelled", job.join, job)
    local journal = dfu.fields(board).journal
    if place:peek(SECTOR + 0x4000, 3) == "abc" then
      if err.flash and err.flash ~= journal:text() then
        untrue[#untrue + 1] = ms .. ": " .. err.message
      end
      lu.assertStrContains(journal:text(), "0x08004000..0x08004002 is ", ms .. " ms")
    end
    if place:peek(OPTION_BYTES, 16) ~= before
      and not journal:text():find("0x1FFFC000..0x1FFFC00F is ", 1, true) then
      unknown[#unknown + 1] = ms
    end
  end
  lu.assertEquals({ untrue, unknown }, { {}, {} })
end

-- A Board that opens a device of another Board continues that Board's journal.
function TestCancel.test_the_journal_belongs_to_the_device()
  local place <close> = sim.new("f407,usb=ideal")
  local first <close> = dfu.open(place.path)
  first:erase_page(SECTOR + 0x4000)
  first:close()
  local second <close> = dfu.open(place.path)
  lu.assertEquals(dfu.fields(second).journal:text(),
    "0x08004000..0x08007FFF is erased but not read back; the rest is untouched.")
  second:erase_page(SECTOR + 0x8000)
  lu.assertEquals(dfu.fields(first).journal:text(),
    "0x08004000..0x0800BFFF is erased but not read back; the rest is untouched.")
  second:close()
  place:unplug()
  place:plug() -- what comes now may be another board
  local third <close> = dfu.open(place.path, { wait = 1 })
  lu.assertEquals(dfu.fields(third).journal:text(), "The flash is untouched.")
  third:erase_page(SECTOR)
  third:close()
  first:open { wait = 1 } -- but a Board's own goes on
  lu.assertEquals(dfu.fields(first).journal:text(),
    "0x08000000..0x0800BFFF is erased but not read back; the rest is untouched.")
end

function TestCancel.test_a_deadline_says_what_it_struck()
  local place <close> = sim.new("f407,usb=ideal")
  local board <close> = dfu.open(place.path)
  local err = assert_raises("timeout", task.deadline, 1, function()
    while true do board:erase_page(SECTOR + 0x20000) end
  end)
  lu.assertStrContains(err.message, "not done within 1 s while erasing 0x08020000")
  lu.assertEquals(err.path, place.path)
end

function TestCancel.test_misuse()
  assert_fails("Task expected", task.current().cancel, "x")
end

return { TestCancel = TestCancel }

-- SPDX-License-Identifier: MIT
-- Tests tasks (src/lua/ltask.c, src/lua/lbase.c): primitives look blocking and are not; where Lua
-- lets them they yield, elsewhere they pump; coroutines of a recipe's own take part.
local catch = require "moonflash.errors".catch
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"
local task = require "task"

local SECTOR = 0x08000000

local assert_fails, close_with = support.assert_fails, support.close_with
local message_of, seconds, turns = support.message_of, support.seconds, support.turns

-- ---- tasks ----

local TestTasks = {}

function TestTasks.test_eight_boards_take_the_time_of_one()
  local sims, boards = {}, {}
  local _ <close> = close_with(function()
    for i = 1, #sims do
      boards[i]:close()
      sims[i]:close()
    end
  end)
  for i = 1, 8 do
    sims[i] = sim.new("f407,usb=ideal")
    boards[i] = dfu.open(sims[i].path)
  end
  local one = seconds(boards[1].erase_page, boards[1], SECTOR)
  local all = seconds(function()
    local jobs = {}
    for i, board in ipairs(boards) do
      jobs[i] = task.spawn(board.erase_page, board, SECTOR + 0x4000)
    end
    for _, job in ipairs(jobs) do job:join() end
  end)
  lu.assertTrue(one > 0.2, "an erase takes time")
  lu.assertTrue(all < one * 1.2, ("eight took %g s, one %g s"):format(all, one))
end

function TestTasks.test_arguments_and_results()
  local job = task.spawn(function(...) return select("#", ...), ... end, nil, 2, nil)
  lu.assertEquals(table.pack(job:join()), { 3, nil, 2, nil, n = 4 })
  lu.assertEquals(table.pack(job:join()), { 3, nil, 2, nil, n = 4 }, "a second join")
  lu.assertEquals(select("#", task.spawn(function() end):join()), 0)
  local many = {}
  for i = 1, 5000 do many[i] = i end
  local back = table.pack(task.spawn(table.unpack, many):join())
  lu.assertEquals({ back.n, back[1], back[5000] }, { 5000, 1, 5000 })
end

function TestTasks.test_join_raises_the_same_error_again()
  local object = setmetatable({}, { __tostring = function() return "mine" end })
  for _, value in ipairs { "text", object, 42, true } do
    local job = task.spawn(error, value, 0)
    for _ = 1, 2 do
      local ok, err = pcall(job.join, job)
      lu.assertFalse(ok)
      lu.assertIs(err, value)
    end
    lu.assertEquals(tostring(job), "Task (failed)")
  end
  local ok, err = pcall(task.join or task.spawn(error).join, task.spawn(error))
  lu.assertFalse(ok)
  lu.assertEquals(err, "error(nil) was raised") -- nil would look like no error
end

function TestTasks.test_several_join_one()
  local job = task.spawn(function()
    task.sleep(1)
    error("late", 0)
  end)
  local heard = {}
  local others = {}
  for i = 1, 3 do
    others[i] = task.spawn(function() heard[i] = message_of(job.join, job) end)
  end
  for _, other in ipairs(others) do other:join() end
  lu.assertEquals(heard, { "late", "late", "late" })
end

function TestTasks.test_traceback()
  local function culprit() error("deep") end
  local job = task.spawn(function() culprit() end)
  assert_fails("deep", job.join, job)
  lu.assertStrContains(job:traceback(), "culprit")
  local good = task.spawn(function() end)
  good:join()
  lu.assertNil(good:traceback())
end

function TestTasks.test_a_task_that_dies_runs_its_close()
  local order = {}
  local job = task.spawn(function()
    local _ <close> = close_with(function(_, err)
      task.sleep(1) -- it may wait
      order[#order + 1] = "closed after " .. tostring(err)
    end)
    task.sleep(1)
    error("death", 0)
  end)
  assert_fails("death", job.join, job)
  lu.assertEquals(order, { "closed after death" })
end

function TestTasks.test_tostring()
  local job = task.spawn(function() task.sleep(1) end)
  lu.assertEquals(tostring(job), "Task (running)")
  task.sleep(0.5)
  lu.assertEquals(tostring(job), "Task (waiting)")
  job:join()
  lu.assertEquals(tostring(job), "Task (ended)")
end

function TestTasks.test_stack_overflow()
  collectgarbage("stop") -- finalizers would overflow the stack as well, and say so
  local _ <close> = close_with(function() collectgarbage("restart") end)
  local function deep() return 1 + deep() end
  local job = task.spawn(deep)
  assert_fails("stack overflow", job.join, job)
  local ok, err = pcall(deep)
  lu.assertFalse(ok)
  lu.assertStrContains(err, "stack overflow")
end

function TestTasks.test_misuse()
  assert_fails("function expected", task.spawn)
  assert_fails("function expected", task.spawn, "text")
  for _, bad in ipairs { -1, 0 / 0, 1 / 0, -1 / 0, "x", {}, false } do
    assert_fails("bad argument #1", task.sleep, bad)
    assert_fails("bad argument #1", task.deadline, bad, print)
  end
  assert_fails("bad argument #2", task.deadline, 1)
  local job = task.spawn(function() end)
  assert_fails("Task expected", job.join, {})
  assert_fails("Task expected", job.cancel, nil)
  assert_fails("supervisor", task.settle)
  job:join()
end

function TestTasks.test_long_sleeps()
  lu.assertAlmostEquals(seconds(task.sleep, 1e6), 1e6, 0.001)
  lu.assertTrue(seconds(task.sleep, 0) < 0.001)
end

function TestTasks.test_tasks_take_turns()
  local order = {}
  local function work(name)
    for i = 1, 3 do
      order[#order + 1] = name .. i
      task.sleep(0)
    end
  end
  local a, b = task.spawn(work, "a"), task.spawn(work, "b")
  a:join()
  b:join()
  lu.assertEquals(table.concat(order, " "), "a1 b1 a2 b2 a3 b3")
end

function TestTasks.test_current_and_tag()
  local before = task.tag()
  task.tag("mine")
  local job = task.spawn(function()
    local inherited = task.tag()
    task.tag("another")
    return inherited, task.current()
  end)
  local inherited, current = job:join()
  lu.assertEquals(inherited, "mine")
  lu.assertIs(current, job)
  lu.assertEquals(task.tag(before), "mine")
end

-- ---- joining in circles ----

function TestTasks.test_joining_itself()
  local job
  job = task.spawn(function() job:join() end)
  assert_fails("can't join itself", job.join, job)
end

function TestTasks.test_a_circle_of_two_is_said()
  local a, b
  a = task.spawn(function() b:join() end)
  b = task.spawn(function() a:join() end)
  assert_fails("deadlock", b.join, b)
  assert_fails("deadlock", a.join, a)
end

function TestTasks.test_a_circle_of_three_is_said_while_others_go_on()
  local over = false
  local busy = task.spawn(function() while not over do task.sleep(1) end end)
  local a, b, c
  a = task.spawn(function() b:join() end)
  b = task.spawn(function() task.deadline(1e9, function() c:join() end) end)
  c = task.spawn(function()
    task.sleep(1)
    a:join()
  end)
  assert_fails("deadlock", a.join, a)
  for _, job in ipairs { b, c } do assert_fails("deadlock", job.join, job) end
  over = true
  busy:join()
end

-- ---- deadlines ----

function TestTasks.test_a_deadline_that_holds()
  lu.assertEquals({ task.deadline(2, function(...)
    task.sleep(1)
    return ...
  end, 1, "two") }, { 1, "two" })
  assert_fails("own error", task.deadline, 1, function() error("own error") end)
end

function TestTasks.test_a_deadline_that_does_not()
  local closed = false
  local took = seconds(function()
    local _, err = catch("timeout", task.deadline, 2, function()
      local _ <close> = close_with(function()
        task.sleep(1)
        closed = true
      end)
      while true do pcall(task.sleep, 60) end
    end)
    lu.assertEquals(err.code, "timeout")
    lu.assertStrContains(err.message, "not done within 2 s")
  end)
  lu.assertTrue(closed)
  lu.assertAlmostEquals(took, 3, 0.001)
end

function TestTasks.test_limits_that_follow_each_other()
  local job = task.spawn(function()
    local me = task.current()
    me:limit(1)
    task.sleep(0.9)
    me:limit(2, "not polished in time")
    task.sleep(1.9)
    me:limit()
    task.sleep(100)
    me:limit(2, "not polished in time")
    task.sleep(100)
  end)
  local took, ok, err = seconds(pcall, job.join, job)
  lu.assertFalse(ok)
  lu.assertEquals({ err.code, err.message }, { "timeout", "not polished in time" })
  lu.assertAlmostEquals(took, 104.8, 0.01)
  job:limit(1) -- it has ended: nothing happens
  task.sleep(2)
end

function TestTasks.test_deadlines_within_deadlines()
  local function inner(limit)
    local _, err = catch("timeout", task.deadline, limit, task.sleep, 10)
    return err.message
  end
  lu.assertStrContains(task.deadline(5, inner, 1.5), "1.5 s")
  local _, err = catch("timeout", task.deadline, 1, inner, 5)
  lu.assertStrContains(err.message, "1 s")
  lu.assertAlmostEquals(seconds(task.sleep, 20), 20, 0.001) -- nothing is left that strikes later
end

function TestTasks.test_a_deadline_of_no_time()
  local ran = false
  local _, err = catch("timeout", task.deadline, 0, function()
    ran = true
    task.sleep(1)
  end)
  lu.assertEquals(err.code, "timeout")
  lu.assertFalse(ran)
end

function TestTasks.test_a_deadline_stops_a_loop_that_never_waits()
  local _, err = catch("timeout", task.deadline, 0.1, function() while true do end end)
  lu.assertEquals(err.code, "timeout")
  _, err = catch("timeout", task.deadline, 0.1, function()
    coroutine.wrap(function()
      while not pcall(function() while true do end end) do end
    end)()
  end)
  lu.assertEquals(err.code, "timeout", "in a coroutine")
end

-- ---- where primitives wait ----

local TestWaiting = {}

function TestWaiting.test_in_pcall_and_xpcall()
  lu.assertTrue(turns(pcall, task.sleep, 1) > 5)
  lu.assertTrue(turns(xpcall, task.sleep, print, 1) > 5)
  lu.assertEquals({ pcall(function(...)
    task.sleep(1)
    return ...
  end, 1, nil, 3) }, { true, 1, nil, 3 })
  lu.assertEquals({ xpcall(function(...)
    task.sleep(1)
    return ...
  end, print, 1, nil, 3) }, { true, 1, nil, 3 })
  local ok, message = xpcall(function()
    task.sleep(1)
    error("x", 0)
  end, function(m)
    task.sleep(1) -- here it pumps
    return m .. "!"
  end)
  lu.assertEquals({ ok, message }, { false, "x!" })
end

function TestWaiting.test_in_a_for_iterator()
  local function wait(_, i)
    task.sleep(0.5)
    if i < 3 then return i + 1 end
  end
  local n = turns(function() for _ in wait, nil, 0 do task.sleep(0) end end)
  lu.assertTrue(n > 10)
end

function TestWaiting.test_in_metamethods()
  local function wait(value)
    return function()
      task.sleep(1)
      return value
    end
  end
  local x = setmetatable({}, {
    __index = wait(1), __newindex = wait(), __call = wait(2), __add = wait(3), __concat = wait(4),
    __eq = wait(true), __lt = wait(true), __le = wait(true), __len = wait(5), __unm = wait(6),
    __band = wait(7),
  })
  local y = setmetatable({}, getmetatable(x))
  local took = seconds(function()
    x.field = 1
    lu.assertEquals({ x.field, x(), x + 1, x .. "s", #x, -x, x & 1 }, { 1, 2, 3, 4, 5, 6, 7 })
    lu.assertTrue(x == y and x < y and x <= y)
  end)
  lu.assertAlmostEquals(took, 11, 0.001)
  lu.assertTrue(turns(function() return x.field end) > 5)
end

function TestWaiting.test_in_close()
  local n = turns(function()
    local _ <close> = close_with(function() task.sleep(1) end)
    task.sleep(0)
  end)
  lu.assertTrue(n > 5)
end

function TestWaiting.test_where_it_pumps()
  local place <close> = sim.new("f407,usb=ideal")
  local board <close> = dfu.open(place.path)
  board:erase_page(SECTOR)
  local n = turns(function()
    local t = { 3, 1, 2 }
    table.sort(t, function(a, b)
      task.sleep(0.5)
      return a < b
    end)
    lu.assertEquals(t, { 1, 2, 3 })
    lu.assertEquals((("abc"):gsub(".", function(c)
      return #board:read(SECTOR, 4) .. c
    end)), "4a4b4c")
    package.preload["tests.module"] = function()
      task.sleep(1)
      return "loaded"
    end
    lu.assertEquals(require "tests.module", "loaded")
    package.preload["tests.module"], package.loaded["tests.module"] = nil, nil
    lu.assertEquals(tostring(setmetatable({}, { __tostring = function()
      task.sleep(1)
      return "text"
    end })), "text")
    local pieces = { "return ", "42" }
    lu.assertEquals(load(function()
      task.sleep(1)
      return table.remove(pieces, 1)
    end)(), 42)
  end)
  lu.assertEquals(n, 0, "others run meanwhile")
end

function TestWaiting.test_what_needs_other_tasks_can_not_pump()
  local job = task.spawn(task.sleep, 1)
  local ran = false
  local function in_sort(f, ...)
    local arguments = table.pack(...)
    table.sort({ 1, 2 }, function() f(table.unpack(arguments)) end)
  end
  assert_fails("can't be joined here", in_sort, job.join, job)
  assert_fails("can't be set here", in_sort, task.deadline, 1, function() ran = true end)
  -- nor where a coroutine could yield, but what resumed it can't
  assert_fails("can't be joined here", in_sort, coroutine.wrap(function() job:join() end))
  assert_fails("can't be joined here", in_sort, coroutine.wrap(function()
    task.deadline(1, function() ran = true end)
  end))
  job:join()
  task.sleep(10)
  lu.assertFalse(ran)
end

function TestWaiting.test_a_finalizer_can_not_wait()
  local place <close> = sim.new("f407,usb=ideal")
  local board <close> = dfu.open(place.path)
  local heard = {}
  local function finalize(f, ...)
    local arguments = table.pack(...)
    setmetatable({}, { __gc = function()
      local _, err = pcall(f, table.unpack(arguments))
      heard[#heard + 1] = tostring(err)
    end })
    collectgarbage()
  end
  local job = task.spawn(task.sleep, 1)
  finalize(task.sleep, 1)
  finalize(board.erase_page, board, SECTOR)
  finalize(board.open, board)
  finalize(job.join, job)
  finalize(task.spawn, print)
  finalize(task.deadline, 1, print)
  finalize(coroutine.wrap(function() task.sleep(1) end))
  lu.assertEquals(#heard, 7)
  for i, message in ipairs(heard) do
    if i ~= 3 then lu.assertStrContains(message, "finalizer") end
  end
  finalize(board.close, board)
  lu.assertFalse(board.is_open)
  job:join()
end

function TestWaiting.test_a_stopped_collector_is_no_finalizer()
  collectgarbage("stop")
  local _ <close> = close_with(function() collectgarbage("restart") end)
  task.sleep(1)
end

-- ---- coroutines ----

local TestCoroutines = {}

function TestCoroutines.test_a_generator_that_waits()
  local function generate()
    for i = 1, 3 do
      task.sleep(0.5)
      coroutine.yield(i)
      task.sleep(0.5)
    end
  end
  local got = {}
  local n = turns(function()
    for i in coroutine.wrap(generate) do got[#got + 1] = i end
  end)
  lu.assertEquals(got, { 1, 2, 3 })
  lu.assertTrue(n > 20)
end

function TestCoroutines.test_values_go_both_ways()
  local co = coroutine.create(function(a, b)
    task.sleep(1)
    local c = coroutine.yield(a + b)
    task.sleep(1)
    local d, e = coroutine.yield(c * 2)
    task.sleep(1)
    return d, e, nil
  end)
  lu.assertEquals({ coroutine.resume(co, 1, 2) }, { true, 3 })
  lu.assertEquals({ coroutine.resume(co, 10) }, { true, 20 })
  lu.assertEquals(table.pack(coroutine.resume(co, "d", "e")), { true, "d", "e", nil, n = 4 })
  lu.assertEquals(coroutine.status(co), "dead")
  lu.assertEquals({ coroutine.resume(co) }, { false, "cannot resume dead coroutine" })
end

function TestCoroutines.test_boards_in_coroutines_go_on_together()
  local jobs = {}
  local one
  local all = seconds(function()
    for i = 1, 4 do
      jobs[i] = task.spawn(function()
        local place <close> = sim.new("f407,usb=ideal")
        local board <close> = dfu.open(place.path)
        local erase = coroutine.wrap(function()
          for sector = 0, 2 do
            board:erase_page(SECTOR + sector * 0x4000)
            coroutine.yield(true)
          end
        end)
        one = seconds(function() while erase() do task.sleep(0) end end)
      end)
    end
    for _, job in ipairs(jobs) do job:join() end
  end)
  lu.assertTrue(all < one * 1.2)
end

function TestCoroutines.test_coroutines_within_coroutines()
  local function nest(depth)
    if depth == 0 then
      task.sleep(1)
      coroutine.yield("bottom")
      task.sleep(1)
      return "end"
    end
    local inner = coroutine.wrap(nest)
    local value = inner(depth - 1)
    task.sleep(1)
    coroutine.yield(value)
    return inner()
  end
  local top = coroutine.wrap(nest)
  lu.assertEquals(top(20), "bottom")
  lu.assertEquals(top(), "end")
end

function TestCoroutines.test_too_many_within_each_other()
  local depth = 0
  local function deeper()
    depth = depth + 1
    task.sleep(0.01)
    return coroutine.wrap(deeper)()
  end
  assert_fails("C stack overflow", deeper)
  lu.assertTrue(depth > 100)
  task.sleep(1)
end

function TestCoroutines.test_errors()
  local closed = 0
  local function fail(what)
    return function()
      local _ <close> = close_with(function()
        task.sleep(1) -- this pumps
        closed = closed + 1
      end)
      task.sleep(1)
      error(what, 0)
    end
  end
  local object = {}
  lu.assertEquals({ coroutine.resume(coroutine.create(fail("x"))) }, { false, "x" })
  lu.assertEquals(closed, 0, "resume leaves that to coroutine.close")
  local ok, err = pcall(coroutine.wrap(fail(object)))
  lu.assertFalse(ok)
  lu.assertIs(err, object)
  lu.assertEquals(closed, 1)
  -- an error that is a text gets the caller's position
  lu.assertStrMatches(message_of(function() coroutine.wrap(fail("text"))() end),
    ".*test_tasks.lua:%d+: text")
  local co = coroutine.create(fail("y"))
  lu.assertEquals({ coroutine.resume(co) }, { false, "y" })
  lu.assertEquals({ coroutine.close(co) }, { false, "y" })
  lu.assertEquals(closed, 3)
end

function TestCoroutines.test_close_of_a_suspended_one()
  local closed = false
  local co = coroutine.create(function()
    local _ <close> = close_with(function()
      task.sleep(1)
      closed = true
    end)
    coroutine.yield()
  end)
  coroutine.resume(co)
  lu.assertEquals(coroutine.status(co), "suspended")
  lu.assertEquals({ coroutine.close(co) }, { true })
  lu.assertTrue(closed)
  lu.assertEquals({ coroutine.close(co) }, { true })
  lu.assertEquals({ coroutine.close(coroutine.create(print)) }, { true })
  assert_fails("coroutine expected", coroutine.close, nil)
  assert_fails("cannot close a running coroutine", coroutine.close, (coroutine.running()))
  local itself
  itself = coroutine.create(function() coroutine.close(itself) end)
  local _, err = coroutine.resume(itself)
  lu.assertStrContains(err, "cannot close a running coroutine")
end

function TestCoroutines.test_two_tasks_and_one_coroutine()
  local co = coroutine.create(function()
    task.sleep(5)
    return "done"
  end)
  local owner = task.spawn(coroutine.resume, co)
  task.sleep(1)
  lu.assertEquals(coroutine.status(co), "normal")
  local ok, err = coroutine.resume(co)
  lu.assertFalse(ok)
  lu.assertStrContains(err, "in which a task waits")
  assert_fails("cannot close a normal coroutine", coroutine.close, co)
  lu.assertEquals({ owner:join() }, { true, "done" })
  lu.assertEquals(coroutine.status(co), "dead")
  -- and one that is wrapped
  local f = coroutine.wrap(function() task.sleep(5) end)
  owner = task.spawn(f)
  task.sleep(1)
  assert_fails("in which a task waits", f)
  owner:join()
end

function TestCoroutines.test_one_that_two_tasks_take_turns_with()
  local co = coroutine.wrap(function()
    for i = 1, 4 do
      task.sleep(1)
      coroutine.yield(i)
    end
  end)
  lu.assertEquals(task.spawn(co):join(), 1)
  lu.assertEquals(co(), 2)
  lu.assertEquals(task.spawn(co):join(), 3)
  lu.assertEquals(co(), 4)
end

function TestCoroutines.test_a_task_is_no_coroutine()
  assert_fails("outside a coroutine", coroutine.yield, 1)
  lu.assertFalse(coroutine.isyieldable())
  local co, is_main = coroutine.running()
  lu.assertTrue(is_main)
  lu.assertEquals(coroutine.status(co), "running")
  lu.assertEquals({ coroutine.resume(co) },
    { false, "cannot resume non-suspended coroutine" })
  coroutine.wrap(function()
    lu.assertTrue(coroutine.isyieldable())
    lu.assertFalse(select(2, coroutine.running()))
    lu.assertEquals(coroutine.status(co), "normal")
  end)()
end

function TestCoroutines.test_a_task_s_own_coroutine_is_safe_from_others()
  local co
  local job = task.spawn(function()
    co = coroutine.running()
    task.sleep(1)
    return function() return "a function, to be called by mistake" end, 2
  end)
  task.sleep(0.5)
  lu.assertStrContains(select(2, coroutine.resume(co)), "in which a task waits")
  assert_fails("cannot close", coroutine.close, co)
  task.sleep(1)
  lu.assertEquals(coroutine.status(co), "dead")
  lu.assertEquals({ coroutine.resume(co) }, { false, "cannot resume dead coroutine" })
  coroutine.close(co)
  lu.assertEquals(select("#", job:join()), 2)
  local dead = task.spawn(function()
    co = coroutine.running()
    error("x", 0)
  end)
  task.sleep(1)
  coroutine.close(co)
  assert_fails("x", dead.join, dead)
end

function TestCoroutines.test_in_a_sort()
  local t = { 3, 1, 2 }
  table.sort(t, coroutine.wrap(function(a, b)
    while true do
      task.sleep(0.5)
      a, b = coroutine.yield(a < b)
    end
  end))
  lu.assertEquals(t, { 1, 2, 3 })
  lu.assertAlmostEquals(seconds(task.sleep, 5), 5, 0.001)
end

return { TestTasks = TestTasks, TestWaiting = TestWaiting, TestCoroutines = TestCoroutines }

-- SPDX-License-Identifier: MIT
-- What stands around a board: programs, serial ports, and the meter's semaphore.
-- Real programs run here, and real time passes while they are awaited, also on the virtual clock.
local catch = require "moonflash.errors".catch
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"
local sys = require "sys"
local task = require "task"

local assert_fails, assert_raises = support.assert_fails, support.assert_raises

local LONG = 30 -- seconds for what must come, on however slow a machine

-- Whether a process exists and is no zombie.
local function is_alive(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  if not file then return false end
  local state = file:read("a"):match("^.*%) (%a)")
  file:close()
  return state ~= "Z"
end

local function own_pid()
  local file <close> = assert(io.open("/proc/self/stat"))
  return file:read("n")
end

-- The children of this process, zombies included.
local function children()
  local pid = own_pid()
  local file <close> = assert(io.open(("/proc/%d/task/%d/children"):format(pid, pid)))
  return file:read("a")
end

local function shell(script, options)
  local program = { "sh", "-c", script }
  for key, value in pairs(options or {}) do program[key] = value end
  return program
end

-- A pseudo-terminal: returns a Stream, which is its far end, and the path of the near end.
local function terminal()
  local far = sys.start { "script", "-qec", "stty raw -echo; tty; exec sleep 1000", "/dev/null" }
  return far, far:expect("(/dev/pts/%d+)\n", LONG)
end

-- ---- sys.run ----

local TestRun = {}

function TestRun.tearDown()
  lu.assertEquals(children(), "")
end

function TestRun.test_what_it_gives()
  lu.assertEquals(sys.run { "printf", "%s-", "a b", "$HOME", "*", 1, 2.5 },
    { status = 0, output = "a b-$HOME-*-1-2.5-" })
  lu.assertEquals(sys.run(shell "echo out; echo err >&2; exit 3"),
    { status = 3, output = "out\nerr\n" })
  lu.assertEquals(sys.run(shell "kill -TERM $$"), { signal = 15, output = "" })
  lu.assertEquals(sys.run(shell [[printf '\0\377\033[2J']]).output, "\0\xFF\27[2J")
end

function TestRun.test_input()
  lu.assertEquals(sys.run { "cat" }.output, "")
  lu.assertEquals(sys.run { "cat", input = "" }.output, "")
  lu.assertEquals(sys.run { "cat", input = "a\0b" }.output, "a\0b")
  local much = ("0123456789abcdef"):rep(65536)
  lu.assertTrue(sys.run { "cat", input = much }.output == much)
  lu.assertEquals(sys.run { "true", input = much }, { status = 0, output = "" })
  lu.assertEquals(sys.run { "head", "-c", "3", input = much }, { status = 0, output = "012" })
end

function TestRun.test_environment()
  local ran = sys.run(shell("echo $ONE-${HOME-gone}", { env = { ONE = "1 = 1", HOME = false } }))
  lu.assertEquals(ran.output, "1 = 1-gone\n")
end

function TestRun.test_output_is_capped()
  local ran = sys.run { "head", "-c", "3000000", "/dev/zero" }
  lu.assertEquals({ #ran.output, ran.dropped, ran.status }, { 1048576, 3000000 - 1048576, 0 })
  ran = sys.run { "head", "-c", "1048576", "/dev/zero" }
  lu.assertEquals({ #ran.output, ran.dropped }, { 1048576 })
end

function TestRun.test_what_can_not_be_run()
  local err = assert_raises("sys.missing", sys.run, { "there-is-no-such-program" })
  lu.assertEquals(err.message, "there-is-no-such-program: No such file or directory")
  lu.assertStrContains(err.hint, "installed")
  assert_raises("sys.permission", sys.run, { "/etc/passwd" })
end

function TestRun.test_deadline()
  local err = assert_raises("timeout", sys.run, shell("echo begun; sleep 1000", { seconds = 0.2 }))
  lu.assertStrMatches(err.message, "sh: not done within 0%.2 s.*")
  assert_raises("timeout", sys.run, { "sleep", "1000", seconds = 0 })
  -- a program that writes for ever, and one that ignores SIGTERM
  err = assert_raises("timeout", sys.run, { "yes", "\27[2Jhostile\xFF", seconds = 0.2 })
  lu.assertStrContains(err.message, "hostile? / ?[2Jhostile?")
  lu.assertEquals(#err.seen, 1048576)
  assert_raises("timeout", sys.run, shell("trap '' TERM; while :; do sleep 0.01; done",
    { seconds = 0.2 }))
end

function TestRun.test_standard_input_is_empty()
  lu.assertEquals(sys.run(shell "read line"), { status = 1, output = "" })
end

function TestRun.test_others_go_on()
  -- neither program ends without the other
  local far, path = terminal()
  local _ <close> = far
  local waits = task.spawn(sys.run, shell("read line <" .. path .. "; echo got $line"))
  local writes = task.spawn(function() far:write("it\n") end)
  writes:join()
  lu.assertEquals(waits:join().output, "got it\n")
end

-- None of them ends before all sixteen have begun.
function TestRun.test_sixteen_at_once()
  local folder, _ <close> = support.folder()
  local jobs = {}
  for i = 1, 16 do
    jobs[i] = task.spawn(sys.run, shell(("cd %s; : >%d; until [ $(ls | wc -l) -ge 16 ]; do "
      .. "sleep 0.01; done; exit %d"):format(folder, i, i)))
  end
  for i, job in ipairs(jobs) do lu.assertEquals(job:join(), { status = i, output = "" }) end
end

-- A program that writes its process id to a file and sleeps, and a child that does the same.
local function victims(folder)
  return shell(("cd %s; sleep 1000 & echo $! >b.new; echo $$ >a.new; mv b.new b; mv a.new a; wait")
    :format(folder))
end

local function number_in(path)
  local deadline = task.now() + LONG
  while not sys.stat(path) do
    assert(task.now() < deadline, "no " .. path)
    sys.run { "sleep", "0.01" }
  end
  local file <close> = io.open(path)
  return file:read("n")
end

-- Runs the victims in a task. Returns the task, and a function that asserts that both are gone.
local function ends(finish)
  local folder, _ <close> = support.folder()
  local job = task.spawn(finish, victims(folder))
  local a, b = number_in(folder .. "/a"), number_in(folder .. "/b")
  lu.assertTrue(is_alive(a) and is_alive(b))
  return job, function()
    lu.assertFalse(is_alive(a))
    -- init reaps the grandchild, which may take a moment
    sys.run(shell(("n=0; while [ -e /proc/%d ] && ! grep -q ') Z' /proc/%d/stat; do sleep 0.01; "
      .. "n=$((n+1)); [ $n -lt 1000 ] || exit 1; done"):format(b, b)))
    lu.assertFalse(is_alive(b))
    lu.assertEquals(children(), "")
  end
end

function TestRun.test_cancelled()
  local job, nothing_is_left = ends(sys.run)
  job:cancel()
  assert_raises("cancelled", job.join, job)
  nothing_is_left()
end

function TestRun.test_deadline_of_the_task()
  local job, nothing_is_left = ends(function(program)
    task.deadline(0.5, sys.run, program)
  end)
  assert_raises("timeout", job.join, job)
  nothing_is_left()
end

function TestRun.test_where_it_can_not_yield()
  local outputs = {}
  table.sort({ 2, 1 }, function(a, b)
    outputs[1] = sys.run { "echo", "sorted" }.output
    return a < b
  end)
  lu.assertEquals(outputs, { "sorted\n" })
end

function TestRun.test_misuse()
  assert_fails("a list, the program first", sys.run, "ls -l")
  assert_fails("a list, the program first", sys.run, {})
  assert_fails("word 2 is a string", sys.run, { "echo", true })
  assert_fails("word 1 has a zero in it", sys.run, { "a\0b" })
  assert_fails("no option 'second' (did you mean 'seconds'?)", sys.run, { "true", second = 1 })
  assert_fails("seconds, 0 or more", sys.run, { "true", seconds = -1 })
  assert_fails("seconds, 0 or more", sys.run, { "true", seconds = 0 / 0 })
  assert_fails("input is a string", sys.run, { "true", input = 1 })
  assert_fails("env is a table", sys.run, { "true", env = 1 })
  assert_fails("env has names", sys.run, { "true", env = { ["A=B"] = "" } })
  assert_fails("env.A is a string", sys.run, { "true", env = { A = true } })
  assert_fails("no option 'input'", sys.start, { "true", input = "x" })
  assert_fails("test_around.lua", function() sys.run {} end) -- and says where
end

-- ---- sys.start ----

local TestStream = {}
TestStream.tearDown = TestRun.tearDown

function TestStream.test_a_talk()
  local calculator <close> = sys.start(shell
    "echo ready; while read a b; do echo sum=$((a + b)); done; echo bye; exit 4")
  calculator:expect("ready")
  calculator:write("1 2\n")
  lu.assertEquals(calculator:expect("(%l+)=(%d+)\n"), "sum")
  calculator:write("3 4\n")
  lu.assertEquals({ calculator:expect("(%l+)=(%d+)\n") }, { "sum", "7" })
  lu.assertEquals(tostring(calculator), "Stream (sh)")
end

function TestStream.test_what_expect_takes()
  local stream <close> = sys.start(shell "printf 'one two three'; read x")
  lu.assertEquals(stream:expect("t%l+"), "two")
  lu.assertEquals(stream:expect("^ (th)"), "th")
  lu.assertEquals(stream:expect("()e"), 2)
  lu.assertEquals(stream:read(), "e")
  lu.assertEquals(stream:read(), "")
end

function TestStream.test_across_chunks()
  local stream <close> = sys.start(shell "while read x; do printf \"$x\"; done")
  local job = task.spawn(stream.expect, stream, "VDD=(%d+) mV", LONG)
  for _, chunk in ipairs { "noise V", "VDD", "=33", "00 m", "V and more" } do
    stream:write(chunk .. "\n")
    task.sleep(0)
  end
  lu.assertEquals(job:join(), "3300")
  -- across what is read at once, and across all that is kept
  local long <close> = sys.start(shell
    "head -c 300001 /dev/zero | tr '\\0' x; echo END; head -c 40 /dev/zero | tr '\\0' y; read x")
  lu.assertEquals(long:expect("xxxEND\n", LONG), "xxxEND\n")
  lu.assertEquals(long:expect("y+$", LONG):sub(1, 1), "y")
end

function TestStream.test_it_does_not_come()
  local stream <close> = sys.start(shell "printf 'boot\\r\\n\\033[2J\\377fail'; read x")
  stream:expect("boot")
  local err = assert_raises("timeout", stream.expect, stream, "login:", 0.3)
  lu.assertEquals(err.message, "sh: no 'login:' within 0.3 s; last came: ?[2J?fail")
  lu.assertEquals(err.seen, "\r\n\27[2J\xFFfail")
  lu.assertEquals(stream:expect("fail", 0), "fail") -- and nothing is lost by that
  err = assert_raises("timeout", stream.expect, stream, "x", 0)
  lu.assertStrContains(err.message, "within 0 s; nothing came")
  err = assert_raises("timeout", stream.expect, stream, "OK\r?\n", 0)
  lu.assertStrContains(err.message, [[no 'OK\r?\n' within]]) -- as it stands in the script
end

function TestStream.test_one_that_never_stops()
  local stream <close> = sys.start { "yes" }
  local turns = support.turns(function()
    assert_raises("timeout", stream.expect, stream, "no", 0.35)
  end)
  lu.assertTrue(turns >= 1, "others have no turn meanwhile")
end

function TestStream.test_its_end()
  local stream <close> = sys.start(shell "echo last words; exit 3")
  local err = assert_raises("sys.ended", stream.expect, stream, "never", LONG)
  lu.assertStrContains(err.message,
    "sh: ended with status 3 before 'never' came; last came: last words")
  lu.assertEquals(stream:read(), "last words\n")
  assert_raises("sys.ended", stream.read, stream)
  err = assert_raises("sys.ended", stream.write, stream, "x")
  lu.assertStrContains(err.message, "before everything was written to it")
  local killed <close> = sys.start(shell "kill -KILL $$")
  err = assert_raises("sys.ended", killed.expect, killed, "x", LONG)
  lu.assertStrContains(err.message, "was ended by signal 9")
end

function TestStream.test_much_both_ways()
  local much = ("0123456789abcdef"):rep(16384)
  local echo <close> = sys.start { "cat" }
  local writer = task.spawn(echo.write, echo, much)
  local got = {}
  local size = 0
  while size < #much do
    got[#got + 1] = echo:read(LONG)
    size = size + #got[#got]
  end
  writer:join()
  lu.assertTrue(table.concat(got) == much)
end

-- Output that is not read stays where it is: a Stream keeps 64 KB, and the pipe holds some more.
function TestStream.test_back_pressure()
  local stream <close> = sys.start(shell "head -c 5000000 /dev/zero; echo all of it >&2; read x")
  lu.assertTrue(#stream:read(LONG) <= 65536)
  lu.assertEquals(stream:expect("all of it", LONG), "all of it")
end

function TestStream.test_it_takes_no_more()
  local stream <close> = sys.start { "sleep", "1000" }
  local err = assert_raises("timeout", task.deadline, 0.5, stream.write, stream,
    ("x"):rep(1000000))
  lu.assertStrContains(err.message, "not done within 0.5 s")
  stream:close()
end

function TestStream.test_closed_while_it_is_listened_to()
  local stream = sys.start { "cat" }
  local job = task.spawn(stream.expect, stream, "x", LONG)
  task.sleep(0)
  assert_fails("another task is listening to cat", stream.expect, stream, "x")
  assert_fails("another task is listening to cat", stream.read, stream)
  stream:close()
  stream:close()
  assert_raises("cancelled", job.join, job)
  lu.assertEquals(tostring(stream), "Stream (cat, closed)")
  assert_fails("cat is closed", stream.expect, stream, "x")
  assert_fails("cat is closed", stream.write, stream, "x")
end

function TestStream.test_closing_ends_the_program()
  for _, script in ipairs { "echo $$; exec cat",
    "trap '' TERM; echo $$; while :; do sleep 1; done" } do
    local stream <close> = sys.start(shell(script))
    local pid = stream:expect("(%d+)\n", LONG)
    lu.assertTrue(is_alive(pid))
    stream:close()
    lu.assertFalse(is_alive(pid))
  end
end

function TestStream.test_what_is_collected_is_closed()
  local pid
  do
    local stream = sys.start(shell "echo $$; exec cat")
    pid = stream:expect("(%d+)\n", LONG)
  end
  collectgarbage()
  collectgarbage()
  while children() ~= "" do sys.run { "true" } end
  lu.assertFalse(is_alive(pid))
end

function TestStream.test_cancelled_while_listening()
  local stream <close> = sys.start { "cat" }
  local job = task.spawn(stream.expect, stream, "x", LONG)
  task.sleep(0)
  job:cancel()
  assert_raises("cancelled", job.join, job)
  stream:write("x")
  lu.assertEquals(stream:expect("x", LONG), "x") -- the next one may
end

function TestStream.test_misuse()
  local stream <close> = sys.start { "cat" }
  assert_fails("a Stream has no 'expct' (did you mean 'expect'?)",
    function() return stream.expct end)
  assert_fails("a pattern is a string", stream.expect, stream, 1)
  assert_fails("seconds, 0 or more", stream.expect, stream, "x", "1")
  assert_fails("malformed pattern", stream.expect, stream, "[")
  assert_fails("seconds, 0 or more", stream.read, stream, -1)
  assert_fails("bytes are a string", stream.write, stream, nil)
  assert_fails("call it with a colon", stream.write, "x")
end

-- ---- sys.serial ----

local TestSerial = {}
TestSerial.tearDown = TestRun.tearDown

function TestSerial.test_both_ways()
  local far, path = terminal()
  local _ <close> = far
  local port <close> = sys.serial(path, 9600)
  lu.assertEquals(tostring(port), "Stream (" .. path .. ")")
  port:write("\3\r\n\0\xFF?")
  lu.assertEquals(far:expect("^.-%?", LONG), "\3\r\n\0\xFF?")
  far:write("VDD=3300\r\n")
  lu.assertEquals(port:expect("VDD=(%d+)\r\n", LONG), "3300")
  lu.assertEquals(port:read(), "")
  local much = ("0123456789abcdef"):rep(4096)
  local writer = task.spawn(port.write, port, much .. "END")
  lu.assertEquals(far:expect("END", LONG), "END")
  writer:join()
end

function TestSerial.test_one_at_a_time()
  local far, path = terminal()
  local _ <close> = far
  local port = sys.serial(path)
  local err = assert_raises("sys.busy", sys.serial, path)
  lu.assertStrContains(err.hint, "has it open")
  port:close()
  local again <close> = sys.serial(path)
  lu.assertNotNil(again)
end

function TestSerial.test_unplugged()
  local far, path = terminal()
  local port <close> = sys.serial(path)
  local job = task.spawn(port.expect, port, "x", LONG)
  task.sleep(0)
  far:close()
  local err = assert_raises("sys.ended", job.join, job)
  lu.assertStrContains(err.message, path .. ": closed its output or went away")
  assert_raises("sys.ended", port.write, port, "x")
end

function TestSerial.test_what_is_none()
  assert_raises("sys.missing", sys.serial, "/dev/there-is-none")
  local err = assert_raises("sys.io", sys.serial, "/dev/null")
  lu.assertStrContains(err.message, "not a serial port")
  assert_fails("115201 is not a standard rate", sys.serial, "/dev/null", 115201)
  assert_fails("is not a standard rate", sys.serial, "/dev/null", 9600.5)
  assert_fails("tty is a string", sys.serial)
end

-- Time that is spent waiting for something outside is real, whatever clock there is.
function TestSerial.test_sleeping_with_an_open_port_is_virtual()
  local far, path = terminal()
  local _ <close> = sys.serial(path)
  far:close()
  local before = os.time()
  task.sleep(100000)
  lu.assertTrue(os.time() - before < 1000)
end

function TestSerial.test_of_an_application()
  local far, path = terminal()
  local _ <close> = far
  local place <close> = sim.new("dfu11,usb=ideal,tty=" .. path)
  local board <close> = dfu.at(place.path)
  board:detach()
  board:leave()
  local app = board:wait_app(5)
  lu.assertEquals(app.tty, path)
  local port <close> = sys.serial(app.tty)
  far:write("ok\n")
  lu.assertEquals(port:expect("(%l+)\n", LONG), "ok")
  local other <close> = sim.new("dfu11,usb=ideal")
  local silent <close> = dfu.at(other.path)
  silent:detach()
  silent:leave()
  lu.assertNil(silent:wait_app(5).tty)
end

-- ---- task.semaphore ----

local TestSemaphore = {}

function TestSemaphore.test_so_many_at_a_time()
  for n = 1, 3 do
    local semaphore = task.semaphore(n)
    local inside, most, order, jobs = 0, 0, {}, {}
    for i = 1, 16 do
      jobs[i] = task.spawn(function()
        local permit <close> = semaphore:acquire() -- luacheck: ignore 211
        inside = inside + 1
        most = math.max(most, inside)
        order[#order + 1] = i
        task.sleep(1)
        inside = inside - 1
      end)
    end
    local took = support.seconds(function() for _, job in ipairs(jobs) do job:join() end end)
    lu.assertEquals(most, n)
    lu.assertAlmostEquals(took, math.ceil(16 / n), 0.001)
    lu.assertEquals(order, { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 })
  end
end

-- A task that is cancelled while it waits, or as it gets its permit, blocks no other.
function TestSemaphore.test_cancelled()
  for _, late in ipairs { false, true } do
    local semaphore = task.semaphore()
    local first = semaphore:acquire()
    local second, third, fourth = {}, {}, {}
    local function work(mark)
      local permit <close> = semaphore:acquire() -- luacheck: ignore 211
      mark.entered = true
    end
    local jobs = { task.spawn(work, second), task.spawn(work, third), task.spawn(work, fourth) }
    task.sleep(1)
    if late then first:close() end
    jobs[1]:cancel()
    if not late then
      task.sleep(1)
      jobs[3]:cancel()
      task.sleep(1)
      lu.assertNil(third.entered)
      first:close()
    end
    jobs[2]:join()
    lu.assertNil(second.entered)
    lu.assertTrue(third.entered)
    lu.assertEquals(fourth.entered, late or nil)
    for _, job in ipairs(jobs) do pcall(job.join, job) end
    semaphore:acquire():close()
  end
end

function TestSemaphore.test_permits_are_released_once()
  local semaphore = task.semaphore(1)
  local permit = semaphore:acquire()
  permit:close()
  permit:close()
  local again <close> = semaphore:acquire() -- luacheck: ignore 211
  local late = task.spawn(semaphore.acquire, semaphore)
  task.sleep(1)
  permit:close() -- released already: frees none
  task.sleep(1)
  lu.assertEquals(tostring(late), "Task (waiting)")
  late:cancel()
end

function TestSemaphore.test_what_is_collected_is_released()
  local semaphore = task.semaphore(1)
  task.spawn(semaphore.acquire, semaphore):join()
  local waits = task.spawn(semaphore.acquire, semaphore)
  task.sleep(1)
  collectgarbage()
  collectgarbage()
  waits:join()
end

-- A permit whose <close> was forgotten is released when its task ends; not one that the task
-- returns.
function TestSemaphore.test_a_permit_ends_with_its_task()
  local semaphore, kept = task.semaphore(1), {}
  local jobs = {}
  for i = 1, 3 do
    jobs[i] = task.spawn(function()
      kept[i] = semaphore:acquire()
      task.sleep(1)
      if i == 2 then error("oops") end
    end)
  end
  local took = support.seconds(function() for i = 1, 3 do pcall(jobs[i].join, jobs[i]) end end)
  lu.assertAlmostEquals(took, 3, 0.001)
  local permit <close> = task.deadline(1, semaphore.acquire, semaphore) -- luacheck: ignore 211
  for i = 1, 3 do kept[i]:close() end -- released already
  support.assert_raises("timeout", task.deadline, 1, semaphore.acquire, semaphore)
end

function TestSemaphore.test_a_deadlock_counts_those_that_wait_for_a_permit()
  local moonflash = sys.run { "readlink", "/proc/" .. own_pid() .. "/exe" }.output:gsub("\n$", "")
  local ran = sys.run { moonflash, "-e", [[
    local a, b = task.semaphore(), task.semaphore()
    local function work(first, second)
      local _ <close> = first:acquire()
      task.sleep(0.01)
      local _ <close> = second:acquire()
    end
    task.spawn(work, a, b)
    task.spawn(work, b, a)]] }
  lu.assertStrContains(ran.output, "every task waits for another; 2 for a permit of a semaphore")
end

function TestSemaphore.test_an_error_inside()
  local semaphore = task.semaphore(1)
  assert_fails("oops", function()
    local permit <close> = semaphore:acquire() -- luacheck: ignore 211
    error("oops")
  end)
  semaphore:acquire():close()
end

function TestSemaphore.test_release()
  local semaphore, other = task.semaphore(2), task.semaphore()
  semaphore:acquire()
  other:acquire()
  local last = semaphore:acquire()
  local waits = task.spawn(semaphore.acquire, semaphore)
  task.sleep(1)
  semaphore:release() -- the one acquired last
  waits:join():close()
  last:close() -- released already
  semaphore:release()
  assert_fails("this task holds no permit", semaphore.release, semaphore)
  other:release()
  task.spawn(function()
    semaphore:acquire()
    other:acquire()
  end):join()
  for _ = 1, 2 do semaphore:acquire() end
  assert_fails("this task holds no permit", other.release, other)
end

-- The task that joins holds what was returned: it can release it, and is not blamed for others.
function TestSemaphore.test_a_permit_that_is_returned()
  local semaphore = task.semaphore()
  local permit = task.deadline(1, semaphore.acquire, semaphore)
  assert_fails("this task holds all permits", semaphore.acquire, semaphore)
  semaphore:release()
  permit:close()
  task.spawn(function()
    local _ = task.deadline(1, semaphore.acquire, semaphore)
  end):join()
  semaphore:acquire():close()
end

function TestSemaphore.test_misuse()
  local semaphore = task.semaphore(1)
  assert_fails("1 or more", task.semaphore, 0)
  assert_fails("number expected", task.semaphore, "x")
  assert_fails("Semaphore expected, got number; write semaphore:acquire(...), with the colon",
    semaphore.acquire, 1)
  assert_fails("write semaphore:release(...), with the colon", semaphore.release)
  local permit <close> = semaphore:acquire() -- luacheck: ignore 211
  assert_fails("this task holds all permits of the semaphore", semaphore.acquire, semaphore)
  local job = task.spawn(function()
    table.sort({ 2, 1 }, function() semaphore:acquire() end)
  end)
  assert_fails("can't be waited for here", job.join, job)
  local _, err = catch("timeout", task.deadline, 1, semaphore.acquire, semaphore)
  lu.assertEquals(err.code, "timeout")
end

-- ---- sys.ask, on a terminal; without one it is tests/cli/ask.t ----

local TestAsk = {}
TestAsk.tearDown = TestRun.tearDown

-- moonflash on a terminal of its own, with a script; and the folder that this is in.
local function on_a_terminal(script, words)
  local folder, made = support.folder()
  do
    local file <close> = assert(io.open(folder .. "/script.lua", "w"))
    file:write(script)
  end
  local program = sys.run { "readlink", "/proc/" .. own_pid() .. "/exe" }.output:gsub("\n$", "")
  local command = ("%s %s %s/script.lua"):format(program, words or "", folder)
  local screen = sys.start { "script", "-qec", command, "/dev/null", env = { TERM = "xterm" } }
  return screen, support.close_with(function()
    screen:close()
    made.close()
  end), folder
end

function TestAsk.test_a_line()
  local screen, _ <close> = on_a_terminal [[
    print(("%q"):format(sys.ask("Serial number?"))) ]]
  screen:expect("Serial number%? $", LONG)
  screen:write("A 17\n")
  screen:expect("A 17\r\n\"A 17\"\r\n", LONG) -- as it was typed; and as it was read
end

-- Other tasks' lines go above the question, which stays; questions are answered in order.
function TestAsk.test_questions_queue()
  local screen, _ <close> = on_a_terminal([[
    local n = 0
    return { api = 1,
      run = function(board)
        n = n + 1
        local number = n
        if number == 2 then
          task.sleep(0.1)
          print("a line")
        end
        return number .. "=" .. sys.ask("Number " .. number .. "?")
      end } ]], "--every-board -d sim:f407 -d sim:f407#2")
  screen:expect("sim:f407: Number 1%? ", LONG)
  screen:expect("\27%[1Lsim:f407#2: a line\r\n", LONG) -- a line is inserted for it
  screen:write("first\n")
  screen:expect("sim:f407#2: Number 2%? ", LONG)
  screen:write("second\n")
  screen:expect("2=second", LONG)
end

-- The same through a pipe, where no terminal has the unfinished line.
function TestAsk.test_given_up_on_a_pipe()
  local moonflash = sys.run { "readlink", "/proc/" .. own_pid() .. "/exe" }.output:gsub("\n$", "")
  local program <close> = sys.start { moonflash, "-e", [[
    local _, err = catch("timeout", task.deadline, 0.3, sys.ask, "First?")
    print(err.code)
    print("got " .. sys.ask("Second?")) ]] }
  program:expect("First%?", LONG)
  program:write("LATE")
  program:expect("Second%?", LONG)
  program:write("1\n")
  lu.assertEquals(program:expect("got (%w+)", LONG), "1")
end

-- What was typed for a question that was given up is no answer to the next one.
function TestAsk.test_given_up()
  local screen, _ <close>, folder = on_a_terminal [[
    local first = task.spawn(sys.ask, "First?")
    local second = task.spawn(sys.ask, "Second?")
    sys.run { "sh", "-c", "until [ -e $0 ]; do sleep 0.01; done", here("go") }
    first:cancel()
    print("got " .. second:join()) ]]
  screen:expect("First%? ", LONG)
  screen:write("wrong")
  screen:expect("wrong", LONG) -- which is what the terminal echoes
  sys.run { "touch", folder .. "/go" }
  screen:expect("\r\nSecond%? ", LONG)
  screen:write("right\n")
  screen:expect("got right", LONG)
end

return { TestRun = TestRun, TestStream = TestStream, TestSerial = TestSerial,
         TestSemaphore = TestSemaphore,
         TestAsk = TestAsk }

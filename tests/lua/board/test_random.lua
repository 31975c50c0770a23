-- SPDX-License-Identifier: MIT
-- Tasks, coroutines, boards, cancelling, deadlines and errors thrown together at random, by seeds
-- that say what goes wrong again. Nothing may hang, crash or leak; and what returns in good order
-- must have happened.
local dfu = require "dfu"
local lu = require "luaunit"
local sim = require "sim"
local support = require "support"
local task = require "task"

local FLASH = 0x08000000
local ROUNDS, TASKS, DEPTH = 60, 6, 5

local close_with = support.close_with

-- A stage: boards, tasks and coroutines that the actors share, and a source of numbers.
local function new_stage(seed)
  local stage = { sims = {}, boards = {}, tasks = {}, coroutines = {}, broken = {} }
  local state = seed * 7919 + 1
  function stage.random(n)
    state = (state * 6364136223846793005 + 1442695040888963407) & math.maxinteger
    return (state >> 33) % n + 1
  end
  function stage.pick(list) return #list > 0 and list[stage.random(#list)] or nil end
  for i, spec in ipairs { "f407,usb=ideal", "l433,usb=none", "f407,usb=none,times=zero" } do
    stage.sims[i] = sim.new(spec)
    stage.boards[i] = dfu.at(stage.sims[i].path)
  end
  return setmetatable(stage, { __close = function()
    for i, board in ipairs(stage.boards) do
      board:close()
      stage.sims[i]:close()
    end
  end })
end

local act

-- Results that would go unnoticed: a call returned without an error, and its effect did not happen.
local function check(stage, holds, what)
  if not holds then stage.broken[#stage.broken + 1] = what end
end

local actions = {
  function(stage)
    local seconds, before = stage.random(200) / 100, task.now()
    task.sleep(seconds)
    check(stage, task.now() >= before + seconds - 1e-9, "a sleep ended early")
  end,
  function(stage, depth)
    pcall(act, stage, depth)
  end,
  function(stage, depth)
    xpcall(act, function(e)
      if stage.random(4) == 1 then task.sleep(0.01) end
      return e
    end, stage, depth)
  end,
  function(stage, depth)
    local job = task.spawn(act, stage, depth)
    table.insert(stage.tasks, job)
    if stage.random(2) == 1 then
      local ok = pcall(job.join, job)
      if ok then check(stage, tostring(job) == "Task (ended)", "joined a task that goes on") end
    end
  end,
  function(stage)
    local job = stage.pick(stage.tasks)
    if job then job:join() end
  end,
  function(stage)
    local job = stage.pick(stage.tasks)
    if job then job:cancel() end
  end,
  function(stage, depth)
    task.deadline(stage.random(300) / 100, act, stage, depth)
  end,
  function(stage, depth)
    coroutine.wrap(act)(stage, depth)
  end,
  function(stage, depth)
    local co = coroutine.create(function()
      act(stage, depth)
      coroutine.yield(1)
      act(stage, depth)
    end)
    table.insert(stage.coroutines, co)
    coroutine.resume(co)
  end,
  function(stage)
    local co = stage.pick(stage.coroutines)
    if co then coroutine.resume(co) end
  end,
  function(stage)
    local co = stage.pick(stage.coroutines)
    if co then pcall(coroutine.close, co) end
  end,
  function()
    if coroutine.isyieldable() then coroutine.yield(2) end
  end,
  function(stage, depth)
    table.sort({ 3, 1, 2 }, function(a, b)
      if stage.random(4) == 1 then act(stage, depth) end
      return a < b
    end)
  end,
  function(stage, depth)
    local _ <close> = close_with(function()
      act(stage, depth)
      if stage.random(4) == 1 then error("in close") end
    end)
    act(stage, depth)
  end,
  function(stage)
    if stage.random(3) == 1 then error(stage.pick { "text", {}, 5, false }) end
  end,
  function(stage)
    local board = stage.pick(stage.boards)
    if not board.is_open then board:open(stage.random(3) - 1) end
  end,
  function(stage)
    local board, before = stage.boards[1], task.now()
    board:erase_page(FLASH + stage.random(0xFFFFF))
    check(stage, task.now() > before + 0.1, "an erase took no time")
  end,
  function(stage)
    local board = stage.pick(stage.boards)
    local length = stage.random(5000)
    check(stage, #board:read(FLASH, length) == length, "a read was short")
  end,
  function(stage)
    stage.pick(stage.boards):write(FLASH + 0x4000, ("x"):rep(stage.random(5000)))
  end,
  function(stage)
    check(stage, stage.pick(stage.boards):control(0x80, 6, 0x0100, 0, 18):byte() == 18,
      "another's bytes")
  end,
  function(stage)
    if stage.random(3) == 1 then stage.pick(stage.boards):close() end
  end,
  function(stage)
    stage.pick(stage.boards):leave()
  end,
  function(stage)
    local place = stage.pick(stage.sims)
    if stage.random(3) == 1 then place:unplug() else place:plug() end
  end,
  function(stage)
    local place = stage.pick(stage.sims)
    local kind = stage.pick { "stall", "error", "short", "corrupt", "unplug" }
    place:fault(kind, place.requests + stage.random(40))
  end,
  function(stage)
    dfu.list(stage.pick(stage.sims).path)
  end,
  function(stage)
    stage.coroutines[stage.random(9)] = nil
    collectgarbage("step", stage.random(1000))
  end,
}

act = function(stage, depth)
  if depth == 0 then return end
  for _ = 1, stage.random(4) do stage.pick(actions)(stage, depth - 1) end
end

local function round(seed)
  local stage <close> = new_stage(seed)
  for i = 1, TASKS do
    stage.tasks[i] = task.spawn(function()
      for _ = 1, 4 do pcall(act, stage, DEPTH) end
    end)
  end
  local first = table.move(stage.tasks, 1, TASKS, 1, {})
  for _, job in ipairs(first) do
    pcall(task.deadline, 100000, job.join, job)
  end
  for _, job in ipairs(stage.tasks) do
    job:cancel()
    pcall(job.join, job)
    local state = tostring(job)
    check(stage, state == "Task (ended)" or state == "Task (failed)", state)
  end
  lu.assertEquals(stage.broken, {}, "seed " .. seed)
end

local TestRandom = {}

function TestRandom.test_nothing_breaks()
  local from = tonumber(os.getenv("MOONFLASH_SEED") or 1)
  for seed = from, from + ROUNDS - 1 do
    round(seed)
    task.sleep(1000)
  end
  collectgarbage()
end

return { TestRandom = TestRandom }

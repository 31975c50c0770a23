-- SPDX-License-Identifier: MIT
-- Runs the cases of tests/usb/umockdev/cases in the umockdev bed:
--   build/umockdev/bed tests/usb/umockdev/run.lua [-j N] [-v] [TEXT]
-- TEXT chooses the cases that have it in their names. The work is spread over N beds. -v shows what
-- each run came to.
local folder = arg[0]:match("^(.*)/") or "."
package.path = folder .. "/?.lua;" .. package.path

local FILES = { "promises", "faults", "descriptors", "people", "doctor", "clients", "dfu_util" }

local options = { jobs = 2, share = nil, of = nil, text = "", verbose = false }
do
  local i = 1
  while arg[i] do
    if arg[i] == "-j" then
      options.jobs, i = math.tointeger(tonumber(arg[i + 1])), i + 1
    elseif arg[i] == "-v" then
      options.verbose = true
    elseif arg[i] == "--share" then
      options.share, options.of = arg[i + 1]:match("^(%d+)/(%d+)$")
      i = i + 1
    else
      options.text = arg[i]
    end
    i = i + 1
  end
end

local MOST_ATTEMPTS = 5 -- at a case in which the bed itself failed

-- ---- one bed ----

-- A case is { name=, spread=boolean, f= }: one that is spread does a share of its runs in each bed.
local cases = {}

local function say(...)
  io.stdout:write(table.concat({ ... }, "\t"):gsub("\n", "\1"), "\n")
  io.stdout:flush()
end

-- Ranks of the cases by name: all beds agree on which bed runs a case.
local function ranks()
  local names, rank = {}, {}
  for i, c in ipairs(cases) do names[i] = c.name end
  table.sort(names)
  for i, name in ipairs(names) do
    if rank[name] then error("two cases are called " .. name) end
    rank[name] = i
  end
  return rank
end

local function run_share(share, of)
  local rig = require "rig"
  function rig.case(name, f) cases[#cases + 1] = { name = name, f = f } end
  function rig.spread_case(name, f) cases[#cases + 1] = { name = name, f = f, spread = true } end
  for _, name in ipairs(FILES) do require("cases." .. name) end
  local rank = ranks()
  for _, c in ipairs(cases) do
    if (c.spread or rank[c.name] % of == share) and c.name:find(options.text, 1, true) then
      local started = bed.now()
      local ok, err, runs, complaints
      for _ = 1, MOST_ATTEMPTS do
        rig.begin_case(c.name, share, of, options.verbose)
        ok, err = xpcall(c.f, function(e)
          return type(e) == "table" and e or debug.traceback(tostring(e), 2)
        end)
        runs, complaints = rig.end_case()
        if ok or type(err) ~= "table" or not err.again then break end
      end
      if not ok and type(err) == "table" and err.skip then
        say("skipped", c.name, err.skip)
      else
        if not ok then
          complaints[#complaints + 1] = type(err) == "table" and "the bed itself failed, again"
            or tostring(err)
        end
        say(#complaints == 0 and "passed" or "failed", c.name, tostring(runs),
          ("%.1f"):format(bed.now() - started), table.concat(complaints, "\n"))
      end
    end
  end
  rig.close()
end

-- ---- all of them ----

local function quote(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function command(share)
  return ("%s %s --share %d/%d %s %s 2>&1"):format(quote(arg[-1]), quote(arg[0]), share,
    options.jobs, options.verbose and "-v" or "", quote(options.text))
end

-- Adds up the results of all beds for each case.
local results, order = {}, {}
local function take_in(line)
  local what, name, runs, seconds, complaints = line:match(
    "^(%a+)\t([^\t]*)\t([^\t]*)\t?([^\t]*)\t?(.*)$")
  if what ~= "passed" and what ~= "failed" and what ~= "skipped" then
    print(line)
    return
  end
  local r = results[name]
  if not r then
    r = { runs = 0, seconds = 0, complaints = {} }
    results[name], order[#order + 1] = r, name
  end
  if what == "skipped" then
    r.skipped = runs
    return
  end
  r.runs, r.seconds = r.runs + tonumber(runs), r.seconds + tonumber(seconds)
  if what == "failed" then r.complaints[#r.complaints + 1] = complaints end
end

local function report(seconds, broken)
  local passed, failed, skipped, runs = 0, broken, 0, 0
  for _, name in ipairs(order) do
    local r = results[name]
    runs = runs + r.runs
    if r.skipped then
      skipped = skipped + 1
      print("skipped: " .. name .. ": " .. r.skipped)
    elseif #r.complaints > 0 then
      failed = failed + 1
      print("FAILED  " .. name .. "\n  " .. table.concat(r.complaints, "\n"):gsub("[\1\n]", "\n  "))
    else
      passed = passed + 1
      print(("ok      %s (%d runs, %.1f s)"):format(name, r.runs, r.seconds))
    end
  end
  print(("%d runs of clients in %.0f s, in %d beds"):format(runs, seconds, options.jobs))
  print(("%d passed, %d failed, %d skipped"):format(passed, failed, skipped))
  return failed == 0
end

if options.share then
  run_share(math.tointeger(tonumber(options.share)), math.tointeger(tonumber(options.of)))
else
  local started, pipes, broken = bed.now(), {}, 0
  for share = 0, options.jobs - 1 do pipes[#pipes + 1] = assert(io.popen(command(share))) end
  for _, pipe in ipairs(pipes) do
    for line in pipe:lines() do take_in(line) end
    if not pipe:close() then broken = broken + 1 end
  end
  os.exit(report(bed.now() - started, broken), true)
end

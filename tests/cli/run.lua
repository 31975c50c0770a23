-- SPDX-License-Identifier: MIT
-- Runs the transcripts of this folder: files of commands ("$ moonflash ...") with what they print,
-- standard output and error together, and [status N] where it is not 0.
--   build/moonflash tests/cli/run.lua [--update] [FILE...]
-- --update writes what was printed into the files, to be read before it is committed.
-- In expected lines, a "~" stands for any number; everything else is compared letter by letter.
local folder = arg[0]:match("^(.*)/") or "."
local moonflash = os.getenv("MOONFLASH") or folder .. "/../../build/moonflash"
local build = os.getenv("BUILD") or "build"

local update = arg[1] == "--update"
local files = table.move(arg, update and 2 or 1, #arg, 1, {})
if #files == 0 then
  for _, name in ipairs(sys.names(folder)) do
    if name:find("%.t$") then files[#files + 1] = folder .. "/" .. name end
  end
  table.sort(files)
end

local function quote(s)
  return "'" .. s:gsub("'", "'\\''") .. "'"
end

local function read(name)
  local file = assert(io.open(name, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

-- Each transcript has a folder of its own, with the test firmware in it.
local function new_folder()
  local pipe = assert(io.popen("mktemp -d"))
  local place = pipe:read("l")
  pipe:close()
  assert(os.execute(("ln -s %s %s/moonflash && cp %s/ch.bin %s/app.bin %s"):format(
    quote(moonflash), quote(place), quote(build), quote(build), quote(place))))
  return place
end

local function run(command, place)
  local pipe = assert(io.popen(("cd %s && PATH=.:$PATH TERM=dumb sh -c %s 2>&1 </dev/null"):format(
    quote(place), quote(command))))
  local output = pipe:read("a")
  local _, how, status = pipe:close()
  if how == "signal" then status = 128 + status end
  if output ~= "" and output:sub(-1) ~= "\n" then output = output .. "\n" end
  if status ~= 0 then output = output .. ("[status %d]\n"):format(status) end
  return output
end

-- A transcript as a list of { command =, expected = }; what stands before the first is prose.
local function parse(text)
  local prose, steps = "", {}
  for line in text:gmatch("([^\n]*)\n") do
    local command = line:match("^%$ (.*)$")
    if command then
      steps[#steps + 1] = { command = command, expected = "" }
    elseif #steps == 0 then
      prose = prose .. line .. "\n"
    else
      steps[#steps].expected = steps[#steps].expected .. line .. "\n"
    end
  end
  return prose, steps
end

local function matches(expected, output)
  if not expected:find("~", 1, true) then return expected == output end
  local pattern = expected:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0"):gsub("~", "[%%d.]+")
  return output:find("^" .. pattern .. "$") ~= nil
end

local passed, failed = 0, 0
for _, file in ipairs(files) do
  local prose, steps = parse(read(file))
  local place = new_folder()
  local new = prose
  for _, step in ipairs(steps) do
    local output = run(step.command, place)
    if matches(step.expected, output) then
      passed = passed + 1
      new = new .. "$ " .. step.command .. "\n" .. step.expected
    else
      failed = failed + 1
      new = new .. "$ " .. step.command .. "\n" .. output
      if not update then
        print(("%s: $ %s\n--- expected\n%s--- printed\n%s---"):format(file, step.command,
          step.expected, output))
      end
    end
  end
  os.execute("rm -rf " .. quote(place))
  if update then
    local out = assert(io.open(file, "wb"))
    out:write(new)
    out:close()
  end
end
print(("%d passed, %d failed, 0 skipped"):format(passed, update and 0 or failed))
os.exit(update or failed == 0)

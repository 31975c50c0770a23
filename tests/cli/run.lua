-- SPDX-License-Identifier: MIT
-- Runs the transcripts of this folder: files of commands ("$ moonflash ...") with what they print,
-- standard output and error together, and [status N] where it is not 0.
--   build/moonflash tests/cli/run.lua [--update] [--docs | FILE...]
-- --update writes what was printed into the files, to be read before it is committed.
-- --docs runs the examples of README.md and docs/ alone.
-- The examples of README.md and docs/ are transcripts too: ```console blocks; ```terminal blocks,
-- which are run on a terminal; and ```lua blocks whose first line names a file, which is written.
-- In expected lines, a "~" stands for any number, and in Markdown any seconds and rates will do;
-- everything else is compared letter by letter.
local folder = arg[0]:match("^(.*)/") or "."
local moonflash = os.getenv("MOONFLASH") or folder .. "/../../build/moonflash"
local build = os.getenv("BUILD") or "build"

local update = arg[1] == "--update"
local files = table.move(arg, update and 2 or 1, #arg, 1, {})
local docs_alone = files[1] == "--docs"
if docs_alone then files = {} end
if #files == 0 then
  for _, name in ipairs(docs_alone and {} or sys.readdir(folder)) do
    if name:find("%.t$") then files[#files + 1] = folder .. "/" .. name end
  end
  table.sort(files)
  local tree = folder .. "/../.."
  for _, name in ipairs { "README.md", "docs/recipes.md", "docs/plan.md", "docs/report.md",
                          "docs/debugging.md", "docs/trace.md", "docs/fixtures.md",
                          "docs/dfu-util.md", "docs/station.md" } do
    files[#files + 1] = tree .. "/" .. name
  end
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

-- Each transcript has a folder of its own, with the test firmware in it, and what examples need.
local function new_folder()
  local pipe = assert(io.popen("mktemp -d"))
  local place = pipe:read("l")
  pipe:close()
  local command = ("ln -s \"$(realpath %s)\" PLACE/moonflash && mkdir PLACE/build && "
    .. "ln -s \"$(realpath %s/../../scripts)\" \"$(realpath %s/..)\" PLACE && "
    .. "cp %s/ch.bin %s/app.bin %s/ch.elf PLACE/build && cp PLACE/build/* PLACE"):format(
    quote(moonflash), quote(folder), quote(folder), quote(build), quote(build), quote(build))
  assert(os.execute((command:gsub("PLACE", (quote(place))))))
  return place
end

local function shell(command, place)
  local pipe = assert(io.popen(("cd %s && PATH=.:$PATH %s 2>&1 </dev/null"):format(quote(place),
    command)))
  local output = pipe:read("a")
  local _, how, status = pipe:close()
  if how == "signal" then status = 128 + status end
  return output, status
end

-- What stands on a terminal's lines at the end: behind the last carriage return of each, up to the
-- one that the cursor is in. Rows go up N lines, and write over what is there.
local function screen(output)
  local lines, at = {}, 1
  for line in (output:gsub("\r\n", "\n") .. "\n"):gmatch("([^\n]*)\n") do
    local up, rest = line:match("^\27%[(%d+)A(.*)$")
    at = at - (tonumber(up) or 0)
    lines[at] = ((rest or line):gsub("^.*\r", ""):gsub("\27%[K", ""))
    at = at + 1
  end
  return table.concat(lines, "\n", 1, at - 1)
end

local function run(step, place)
  if step.file then
    local out = assert(io.open(place .. "/" .. step.file, "wb"))
    out:write(step.text)
    out:close()
    return step.expected
  end
  local output, status
  if step.terminal then
    output, status = shell("TERM=xterm NO_COLOR=1 script -qec " .. quote(step.command)
      .. " /dev/null", place)
    output = screen(output)
  else
    output, status = shell("TERM=dumb sh -c " .. quote(step.command), place)
  end
  if output ~= "" and output:sub(-1) ~= "\n" then output = output .. "\n" end
  if status ~= 0 then output = output .. ("[status %d]\n"):format(status) end
  return output
end

-- A transcript as a list of { before =, command =, expected = }: what stands before a command is
-- prose, and what follows the last, too.
local function parse(text, is_markdown)
  local steps, prose = {}, ""
  local block = not is_markdown and "console" or nil
  local step
  for line in text:gmatch("([^\n]*)\n") do
    local fence = is_markdown and line:match("^```(%a*)$")
    local command = (block == "console" or block == "terminal") and line:match("^%$ (.*)$")
    local file = block == "lua" and prose:find("```lua\n$") and line:match("^%-%- ([%w_-]+%.lua)")
    if fence then
      if step and step.file then step.text = step.expected end
      block, step = not block and fence or nil, nil
    elseif command or file then
      step = { before = prose, command = command, file = file,
               expected = file and line .. "\n" or "",
               terminal = block == "terminal", loose = is_markdown }
      steps[#steps + 1] = step
      prose = ""
    elseif step then
      step.expected = step.expected .. line .. "\n"
    end
    if not step then prose = prose .. line .. "\n" end
  end
  return steps, prose
end

local function matches(step, output)
  local expected = step.expected
  local pattern = expected:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0"):gsub("~", "[%%d.]+")
  if step.loose then
    pattern = pattern:gsub(" *[%d.%%]+ s%f[%W]", " *[%%d.]+ s"):gsub(" *[%d.%%]+ KB/s",
      " *[%%d.]+ KB/s")
  end
  return expected == output or output:find("^" .. pattern .. "$") ~= nil
end

local has_terminal = os.execute("script -qec true /dev/null >/dev/null 2>&1 </dev/null")

local passed, failed, skipped = 0, 0, 0
for _, file in ipairs(files) do
  local steps, rest = parse(read(file), file:find("%.md$"))
  local place = new_folder()
  local new = ""
  for _, step in ipairs(steps) do
    local skip = step.terminal and not has_terminal
    local output = skip and step.expected or run(step, place)
    local right = step.file or matches(step, output)
    if skip then
      skipped = skipped + 1
      print("skipped: no pseudo-terminal can be made here: $ " .. step.command)
    elseif right then
      passed = passed + (step.file and 0 or 1)
    else
      failed = failed + 1
      if not update then
        print(("%s: $ %s\n--- expected\n%s--- printed\n%s---"):format(file, step.command,
          step.expected, output))
      end
    end
    new = new .. step.before .. (step.command and "$ " .. step.command .. "\n" or "")
      .. (right and step.expected or output)
  end
  os.execute("rm -rf " .. quote(place))
  if update then
    local out = assert(io.open(file, "wb"))
    out:write(new, rest)
    out:close()
  end
end
print(("%d passed, %d failed, %d skipped"):format(passed, update and 0 or failed, skipped))
os.exit(update or failed == 0)

-- SPDX-License-Identifier: MIT
-- Checks the layers of both trees. A folder is a floor. Its files use files of their own floor and
-- of lower floors, without circles. `make lint` runs this with plain Lua, so that a tree that does
-- not run can be checked, too.

-- Floors, from the top down.
local C_FLOORS = { "main", "lua", "usbip", "sim", "dfu", "usb", "loop" }
local LUA_FLOORS = { "cli", "prompt", "station", "manual", "doctor", "dfu_util", "report",
                     "run", "trace", "ui", "dfu", "flash", "optbytes", "sys", "board", "sim",
                     "image", "base" }
-- Public modules that are single files, and their floors.
local FLOOR_OF = { errors = "base", memory = "base" }

local complaints = {}
local function complain(...) complaints[#complaints + 1] = string.format(...) end

local function contents(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

-- The contents of all files in a folder with an extension, by path.
local function files_in(folder, ending)
  local files = {}
  local list <close> = assert(io.popen(("find %s -name '*.%s'"):format(folder, ending)))
  for path in list:lines() do files[path] = contents(path) end
  return files
end

local function ranks(floors)
  local rank = {}
  for i, floor in ipairs(floors) do rank[floor] = i end
  return rank
end

-- Complains about each edge that leads up; if there is none, about each circle. uses[a][b]: a uses
-- b.
local function judge(uses, floor_of, rank)
  local before = #complaints
  for file, used in pairs(uses) do
    local from = rank[floor_of(file)]
    if not from then complain("%s: its folder '%s' is no floor", file, floor_of(file)) end
    for other in pairs(used) do
      local to = rank[floor_of(other)]
      if from and to and to < from then complain("%s uses %s, which is above it", file, other) end
    end
  end
  if #complaints > before then return end -- an edge that leads up closes many circles
  local done, path = {}, {}
  local function visit(file)
    if done[file] then return end
    for i, above in ipairs(path) do
      if above == file then
        complain("a circle: %s", table.concat(path, " -> ", i) .. " -> " .. file)
        return
      end
    end
    path[#path + 1] = file
    for other in pairs(uses[file] or {}) do visit(other) end
    path[#path] = nil
    done[file] = true
  end
  for file in pairs(uses) do visit(file) end
end

-- ---- C ----

-- Floors are checked by includes. Circles are looked for among functions: a source uses another one
-- if it calls a function that the other one defines.

local function functions_of(text)
  local names = {}
  for line in ("\n" .. text):gmatch("\n(%a[%w_ *]*%()") do
    if not line:find("^static") and not line:find("^typedef") then
      names[line:match("([%w_]+)%($")] = true
    end
  end
  return names
end

local function check_c()
  local sources, headers = files_in("src", "c"), files_in("src", "h")
  local function floor_of(path) return path:match("^src/(.-)/") or "main" end
  local includes, defined, calls = {}, {}, {}
  for _, files in ipairs { sources, headers } do
    for path, text in pairs(files) do
      includes[path] = {}
      for name in text:gmatch('#include "([^"]+)"') do includes[path]["src/" .. name] = true end
    end
  end
  judge(includes, floor_of, ranks(C_FLOORS))
  for path, text in pairs(sources) do
    for name in pairs(functions_of(text)) do defined[name] = name ~= "main" and path or nil end
  end
  for path, text in pairs(sources) do
    calls[path] = {}
    text = text:gsub("/%*.-%*/", ""):gsub("struct [%w_]+", "") -- names of functions remain
    for name in text:gmatch("[%a_][%w_]*") do
      if defined[name] and defined[name] ~= path then calls[path][defined[name]] = true end
    end
  end
  judge(calls, floor_of, ranks(C_FLOORS))
  return calls
end

-- ---- Lua ----

-- Modules that C registers under another name.
local PUBLIC = { dfu = "moonflash.dfu", sim = "moonflash.sim", sys = "moonflash.sys" }

local function check_lua()
  local uses, modules = {}, {}
  local sources = files_in("lua/moonflash", "lua")
  local function module_of(path)
    return (path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", "."))
  end
  for path in pairs(sources) do modules[module_of(path)] = path end
  for path, text in pairs(sources) do
    local own = module_of(path)
    uses[own] = {}
    text = text:gsub("%-%-[^\n]*", "")
    local function use(name)
      name = PUBLIC[name] or name
      if modules[name] and name ~= own then uses[own][name] = true end
    end
    for name in text:gmatch('require%s*%(?%s*"([^"]+)"') do use(name) end
    for name in text:gmatch('library%s*%(?%s*"([^"]+)"') do use("moonflash." .. name) end
  end
  judge(uses, function(name)
    local floor = name:match("^moonflash%.([^.]+)")
    return FLOOR_OF[floor] or floor
  end, ranks(LUA_FLOORS))
  return uses
end

local c, lua = check_c(), check_lua()
table.sort(complaints)
for _, complaint in ipairs(complaints) do io.stderr:write(complaint, "\n") end
assert(c["src/dfu/board.c"]["src/dfu/dfu.c"] and lua["moonflash.flash"]["moonflash.flash.plan"],
  "the patterns find too little")
os.exit(#complaints == 0)

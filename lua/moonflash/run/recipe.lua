-- SPDX-License-Identifier: MIT
-- Recipes: their files, their environment, and the fields of their tables.
local args = require "moonflash.run.args"
local errors = require "moonflash.errors"
local events = require "moonflash.base.events"
local files = require "moonflash.base.files"
local misuse = require "moonflash.base.misuse"
local suggest = require "moonflash.base.suggest"
local sys = require "sys"
local task = require "task"

local M = {}

local API = 1
local FIELDS = { "api", "summary", "description", "example", "board", "seconds", "args", "setup",
                 "run", "finish", "virtual", "mode", "rest", "words", "start",
                 "station", "identify", "finish_unit", "fail_text" }
local STARTS = { plug = true, scan = true, enter = true, operator = true }

-- Names of moonflash's own options, which recipes may not declare.
local taken = setmetatable({}, { __index = function() return false end })

---@param is_own fun(name: string): boolean
function M.reserve(is_own)
  taken = setmetatable({}, { __index = function(_, name) return is_own(name) end })
end

-- ---- finding recipes ----

-- The folders of named recipes, in the order of search: the user's own, then those for all users.
local function folders()
  local list = { { path = files.config_folder() .. "/recipes", from = "yours" } }
  local data = files.setting("XDG_DATA_DIRS", "/usr/local/share:/usr/share")
  for base in data:gmatch("[^:]+") do
    list[#list + 1] = { path = base .. "/moonflash/recipes", from = "installed" }
  end
  return list
end

local function read(path)
  local file = io.open(path, "rb")
  local source = file and file:read("a")
  if file then file:close() end
  return source
end

-- Finds a recipe by its name, without a path.
local function find_named(name)
  for _, folder in ipairs(folders()) do
    local path = folder.path .. "/" .. name .. ".lua"
    local stat = sys.stat(path)
    local source = stat and stat.type == "file" and read(path)
    if source then
      return { source = source, chunk = "@" .. path, folder = folder.path, from = folder.from }
    end
  end
  local source, chunk = sys.builtin("scripts/" .. name .. ".lua")
  return source and { source = source, chunk = chunk, from = "built in" }
end

local function names_in(list, seen, from)
  local found = {}
  for _, file in ipairs(list) do
    local name = file:match("^([%w_-]+)%.lua$")
    if name and not seen[name] then
      seen[name] = true
      found[#found + 1] = { name = name, from = from }
    end
  end
  return found
end

---All named recipes.
---@return table[] { { name=, from= }, ... } sorted
function M.all()
  local seen = {}
  local all = {}
  for _, folder in ipairs(folders()) do
    local found = names_in(sys.readdir(folder.path) or {}, seen, folder.from)
    table.move(found, 1, #found, #all + 1, all)
  end
  local builtin = {}
  for _, file in ipairs(sys.builtins("scripts/")) do
    builtin[#builtin + 1] = file:match("^scripts/([^/]+)$")
  end
  for _, item in ipairs(names_in(builtin, seen, "built in")) do all[#all + 1] = item end
  table.sort(all, function(a, b) return a.name < b.name end)
  return all
end

-- Raises `usage` for a file that is not text, such as firmware.
local function check_is_text(name, source)
  local format = require("moonflash.image").recognise(source) or source:find("\0") and "binary"
  if not format then return end
  if format == "binary" and source:sub(1, 4) == "\27Lua" then
    errors.raise { code = "usage", message = name .. " is compiled Lua; recipes are text" }
  end
  errors.raise { code = "usage",
    message = ("%s is firmware (%s), not a recipe: moonflash flash %s"):format(name, format, name) }
end

-- What recipes are called elsewhere.
local SYNONYMS = {
  write = "flash", program = "flash", download = "flash", burn = "flash", upload = "read",
  dump = "read", reset = "leave", run = "leave", start = "leave", boot = "leave",
  unlock = "unprotect", devices = "list", check = "verify", compare = "verify", wipe = "erase",
}

local function no_recipe(name)
  local stat = sys.stat(name)
  if stat and stat.type == "file" then
    check_is_text(name, read(name) or "")
    errors.raise { code = "usage", message = name .. " is a file, not the name of a recipe",
      remedy = { "run-file", file = name } }
  end
  local names = {}
  for i, item in ipairs(M.all()) do names[i] = item.name end
  names[#names + 1] = "help"
  local synonym = SYNONYMS[name]
  errors.raise { code = "usage",
    message = ("there is no recipe '%s'%s"):format(name, synonym
      and (" (did you mean '%s'?)"):format(synonym) or suggest.hint(name, names)),
    remedy = { "recipes" } }
end

local function find_file(path)
  local stat, why = sys.stat(path)
  if not stat then
    errors.raise { code = "file", message = ("%s: %s"):format(path, why) }
  elseif stat.type == "directory" then
    errors.raise { code = "file", message = path .. " is a directory, not a recipe" }
  end
  local source = read(path)
  if not source then errors.raise { code = "file", message = path .. " can't be read" } end
  check_is_text(path, source)
  return { source = source, chunk = "@" .. path, folder = path:match("^(.*)/") or ".",
           from = "a file" }
end

---Finds a recipe by name, or by path if the name has a "/" or ends in ".lua".
---@param name string
---@param beside? string a folder in which files are looked for first
---@return table { name=, source=, chunk=, folder=, from= }
function M.find(name, beside)
  local found
  if name:find("/") or name:find("%.lua$") then
    local there = beside and not name:find("^/") and beside .. "/" .. name
    found = find_file(there and sys.stat(there) and there or name)
  else
    local here = beside and beside .. "/" .. name .. ".lua"
    if here and sys.stat(here) then
      found = find_file(here)
    else
      found = find_named(name)
    end
  end
  if not found then no_recipe(name) end
  found.name = name
  return found
end

-- ---- the environment ----

local LIBRARY = {
  dfu = "dfu", task = "task", sys = "sys", sim = "sim",
  flash = "moonflash.flash", image = "moonflash.image", memory = "moonflash.memory",
  optbytes = "moonflash.optbytes", trace = "moonflash.trace", units = "moonflash.station.units",
}
M.library = LIBRARY

-- Makes reading an unknown name of a module an error, with a guess.
local function strict(module, name)
  if type(module) ~= "table" or getmetatable(module) then return module end
  return setmetatable(module, { __index = function(_, key)
    misuse("%s has no '%s'%s", name, tostring(key), suggest.hint(key, suggest.keys(module)))
  end })
end

-- The module that has a function of that name: "sleep" -> "task.sleep".
local function where_else(name)
  for _, module in ipairs(suggest.keys(LIBRARY)) do
    local value = package.loaded[LIBRARY[module]]
    if type(value) == "table" and rawget(value, name) ~= nil then
      return (" (did you mean '%s.%s'?)"):format(module, name)
    end
  end
end

-- Files of the user's own are modules, too, and have no module of ours as a global.
setmetatable(_G, { __index = function(_, name)
  local caller = LIBRARY[name] and debug.getinfo(2, "S")
  if caller and caller.source:find("^@") and not caller.source:find("^@/usr/")
    and not caller.source:find("lua/moonflash/", 1, true) then
    error(("'%s' is not defined in a module: local %s = require \"%s\""):format(name, name,
      LIBRARY[name]), 2)
  end
end })

-- Makes an environment in which reading or setting an unknown global raises, with a suggestion. The
-- top level of the script may set new globals, which declares them.
local function guard(env)
  local declared = {}
  local function known()
    local names = suggest.keys(_G)
    for name in pairs(LIBRARY) do names[#names + 1] = name end
    for name in pairs(env) do names[#names + 1] = tostring(name) end
    for name in pairs(declared) do names[#names + 1] = name end
    return names
  end
  local meta = { loose = false }
  function meta.__index(_, name)
    local module = LIBRARY[name]
    if module then
      local value = strict(require(module), name)
      rawset(env, name, value)
      return value
    end
    local value = rawget(_G, name)
    if value ~= nil or declared[name] then return value end
    error(("'%s' is not defined%s"):format(tostring(name), where_else(name)
      or suggest.hint(name, known())), 2)
  end
  function meta.__newindex(_, name, value)
    local where = debug.getinfo(2, "S")
    if not meta.loose and where and where.what ~= "main" and where.what ~= "C" then
      error(("'%s' is not declared%s; make it local, or set it at the top level"):format(
        tostring(name), suggest.hint(name, known())), 2)
    end
    declared[name] = true
    rawset(env, name, value)
  end
  return setmetatable(env, meta)
end

-- With --json, standard output is for JSON: scripts print to standard error.
M.stdout_is_data = false

-- `print` for recipes: emits the text, so that it appears above progress bars.
local function print_above(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = tostring(parts[i]) end
  events.emit("print", task.tag(), table.concat(parts, "\t"))
end

-- Values that setup of used recipes returned. They are closed at the end of the run.
M.to_close = {}

-- `require` for recipes: a module that is not there is told in a line.
local function require_beside(name, folder)
  local ok, result, more = pcall(require, name)
  if ok then return result, more end
  local missing = type(result) == "string" and result:match("^module '([^']*)' not found:")
  if missing ~= name or not folder then error(result, 0) end
  local names = {}
  for _, file in ipairs(sys.readdir(folder) or {}) do
    names[#names + 1] = file:match("^([%w_-]+)%.lua$")
  end
  misuse("there is no module '%s': no %s.lua beside the recipe%s", name, (name:gsub("%.", "/")),
    suggest.hint(name, names))
end

---The environment of a script: its own functions, and the library.
---@param found table from M.find
---@return table env
function M.environment(found)
  local env = { catch = errors.catch, fail = errors.fail }
  function env.here(name)
    if not found.folder then error("a built-in recipe has no folder", 2) end
    return name and found.folder .. "/" .. name or found.folder
  end
  function env.use(name, options)
    return M.use(name, options, found)
  end
  function env.require(name)
    return require_beside(name, found.folder)
  end
  if M.stdout_is_data then env.print = print_above end
  env._G = env
  return guard(env)
end

---Allows globals to be set anywhere, for the prompt.
---@param env table
function M.loosen(env)
  getmetatable(env).loose = true
end

-- Adds a recipe's folder to the front of package.path.
local function look_beside(folder)
  if not folder then return end
  local templates = folder .. "/?.lua;" .. folder .. "/?/init.lua"
  if not package.path:find(templates, 1, true) then
    package.path = templates .. ";" .. package.path
  end
end

-- ---- loading ----

local function bad(found, message)
  errors.raise { code = "recipe",
                 message = ("%s: %s"):format(found.chunk:gsub("^@", ""), message) }
end

---Compiles a script without running it.
---@param found table from M.find
---@return function chunk
---@return table env
function M.compile(found)
  local env = M.environment(found)
  look_beside(found.folder)
  local chunk, why = load(found.source:gsub("^#[^\n]*", ""), found.chunk, "t", env)
  if not chunk then errors.raise { code = "recipe", message = why } end
  return chunk, env
end

-- Checks the table that a script returned. Returns the recipe.
local function check(found, t, env)
  for key in pairs(t) do
    local known = false
    for _, field in ipairs(FIELDS) do known = known or key == field end
    if not known then
      bad(found, ("a recipe has no field '%s'%s"):format(tostring(key),
        suggest.hint(key, FIELDS)))
    end
  end
  if t.api ~= API then
    bad(found, t.api == nil and "missing field: api = 1" or ("it is for api %s; this is %d"):format(
      tostring(t.api), API))
  end
  for _, field in ipairs { "setup", "run", "finish", "identify", "finish_unit" } do
    if t[field] ~= nil and type(t[field]) ~= "function" then
      bad(found, field .. " is not a function")
    end
  end
  if not (t.run or t.setup) then bad(found, "it has neither setup nor run") end
  if t.seconds ~= nil and not (type(t.seconds) == "number" and t.seconds > 0) then
    bad(found, "seconds is a number, more than 0")
  end
  if t.start ~= nil and not STARTS[t.start] then
    bad(found, 'start is "plug", "scan", "enter" or "operator"')
  end
  for _, field in ipairs { "station", "fail_text" } do
    if t[field] ~= nil and type(t[field]) ~= "table" then bad(found, field .. " is no table") end
  end
  if t.args ~= nil and type(t.args) ~= "table" then bad(found, "args is a list") end
  local ok, checked = pcall(args.check, t.args or {}, taken)
  if not ok then bad(found, checked) end
  rawset(env, "print", print_above)
  return { name = found.name, table = t, args = checked, env = env,
           summary = t.summary or "", folder = found.folder, from = found.from,
           chunk = found.chunk }
end

---The recipe that a script returned; nil if it is a plain script, which has run then.
---@param found table
---@param value any what the script returned
---@param env table
---@return table?
function M.from(found, value, env)
  if type(value) ~= "table" then return nil end
  return check(found, value, env)
end

-- A value that is equal for two names of one file.
local function identity(found)
  local path = found.chunk:match("^@(.*)$")
  local stat = path and sys.stat(path)
  return stat and stat.id or found.chunk
end

-- Raises `recipe` if a recipe uses itself, directly or through others.
local function check_circle(found)
  local circle, user = {}, found.user
  while user do
    table.insert(circle, 1, (user.chunk:gsub("^@", ""):gsub("/%./", "/"):gsub("^%./", "")))
    if identity(user) == identity(found) then
      circle[#circle + 1] = circle[1]
      errors.raise { code = "recipe", message = ("%s uses itself: %s"):format(circle[1],
        table.concat(circle, " -> ")) }
    end
    user = user.user
  end
end

---Loads a recipe. It may not open a board while it is loaded.
---@param name string
---@param user? table from M.find, for the script that uses the recipe
---@return table? recipe nil for a plain script
function M.load(name, user)
  local dfu = require "dfu"
  local found = M.find(name, user and user.folder)
  found.user = user
  check_circle(found)
  local chunk, env = M.compile(found)
  rawset(env, "arg", { [0] = name })
  dfu.defaults.loading = true
  local ok, value = pcall(chunk)
  dfu.defaults.loading = false
  if not ok then error(value, 0) end
  return M.from(found, value, env)
end

---One line for each recipe, with its summary.
---@return string
function M.overview()
  local lines = {}
  for i, item in ipairs(M.all()) do
    local ok, loaded = pcall(M.load, item.name)
    local summary = ok and (loaded and loaded.summary or "a plain script")
      or "can't be loaded: " .. tostring(loaded)
    lines[i] = ("  %-12s %s%s"):format(item.name, summary,
      item.from == "built in" and "" or " (" .. item.from .. ")")
  end
  return table.concat(lines, "\n")
end

-- The selector for a recipe and for the one that uses it, combined.
local function both(board, meant)
  local selectors = require "moonflash.board.selector"
  local wanted = {}
  for _, selector in ipairs { meant or {}, board } do
    for key, value in pairs(selectors.parse(selector)) do wanted[key] = value end
  end
  return wanted
end

-- Runs a used recipe. Its own `board` and `seconds` apply, as if it ran alone.
local function run_used(recipe, board, opt, value)
  local fields = require("dfu").fields(board)
  local t, name = recipe.table, ("recipe '%s'"):format(recipe.name)
  if board.is_open then require("moonflash.run.choose").check(fields.info, t.board, name) end
  local job = fields.job
  local meant = job.meant
  local _ <close> = setmetatable({}, { __close = function() job:mean(meant) end })
  if t.start == "operator" and t.board then job:mean(both(t.board, meant)) end
  if not t.seconds then return t.run(board, opt, value) end
  return task.deadline(t.seconds, function()
    task.current():limit(t.seconds, ("%s not done within %g s"):format(name, t.seconds))
    return t.run(board, opt, value)
  end)
end

---Loads a recipe for use in another one, and runs its setup.
---@param name string
---@param options? table
---@param user? table from M.find, for the script that uses the recipe
---@return function run to be called with the board
function M.use(name, options, user)
  local recipe = M.load(name, user)
  if not recipe or not recipe.table.run then
    error(("'%s' is not a recipe that runs on a board"):format(name), 2)
  end
  local opt = args.given(options or {}, recipe.args, name)
  local value = recipe.table.setup and recipe.table.setup(opt)
  if value ~= nil then table.insert(M.to_close, value) end
  return function(board) return run_used(recipe, board, opt, value) end
end

return M

-- SPDX-License-Identifier: MIT
-- station.lua: runs a recipe for every unit that is put in, until a signal or an act ends it.
local dfu = require "dfu"
local errors = require "moonflash.errors"
local recipes = require "moonflash.run.recipe"
local stores = require "moonflash.station.store"
local sys = require "sys"

local function usage(message, hint)
  errors.raise { code = "usage", message = message, hint = hint }
end

-- The folder of the store: --folder, or 'station' beside the recipe.
local function folder_of(opt, recipe)
  return opt.folder or (recipe.folder or ".") .. "/station"
end

-- Makes the folder, if it is named or a person agrees.
local function ensure_folder(folder, is_named)
  if sys.stat(folder .. "/station.db") then return end
  if not is_named then
    if not (sys.is_terminal(0) and sys.is_terminal(2)) then
      usage(("there is no store in %s"):format(folder), "--folder DIR makes one.")
    end
    local answer = sys.ask(("There is no store in %s. Make one (y/n)?"):format(folder))
    if not answer:find("^[yY]") then usage("no store was made") end
  end
  local above = folder:gsub("/+$", ""):match("^(.*)/[^/]*$")
  if above and above ~= "" and not sys.stat(above) then
    errors.raise { code = "file.write",
                   message = ("%s can't be made: there is no folder %s"):format(folder, above) }
  end
  local made, why = sys.mkdir(folder)
  if not made then
    errors.raise { code = "file.write", message = ("%s can't be made: %s"):format(folder, why) }
  end
end

-- Whether one of the station's places is a simulated board's.
local function is_simulated(session)
  local by_name = require("moonflash.board.slots").load().by_name
  local places = {}
  for i, selector in ipairs(session.selectors or {}) do
    places[i] = by_name[selector] or selector
  end
  for _, path in pairs(session.selectors and places or by_name) do
    if path:find("^sim:") then return true end
  end
  return false
end

-- Simulated boards and real ones do not share a store: numbers of real units are not for play.
local function check_kind(store, simulated)
  local kind = simulated and "simulated" or "real"
  local before = store:get("kind")
  if before and before ~= kind then
    usage(("%s has %s units; this station is for %s ones"):format(store.folder, before, kind),
      "--folder DIR names another store.")
  end
  store:set("kind", kind)
end

local function open_store(opt, recipe)
  if dfu.defaults.dry then return stores.open(nil) end
  local folder = folder_of(opt, recipe)
  ensure_folder(folder, opt.folder ~= nil)
  local store = stores.open(folder)
  local ok, err = pcall(check_kind, store, is_simulated(opt.session))
  if not ok then
    store:close()
    error(err, 0)
  end
  return store
end

-- [ADDRESS:]PORT; [::1]:8080 is IPv6.
local function parse_page(words)
  local address, port = words:match("^%[([%x:]+)%]:(%d+)$")
  if not address then address, port = words:match("^([%d.]+):(%d+)$") end
  if not address then address, port = "127.0.0.1", words:match("^(%d+)$") end
  port = tonumber(port)
  if not port or port > 65535 then usage(("--page: '%s' is no [ADDRESS:]PORT"):format(words),
    "For example 8080, or 192.168.1.5:8080; port 0 is a free one.") end
  return { address = address, port = port }
end

local function find_recipe(opt)
  local name = opt.rest[1]
  if not name then usage("no recipe given", "moonflash station scripts/examples/line.lua") end
  local recipe = recipes.load(name)
  if not recipe or not recipe.table.run then
    usage(name .. " is not a recipe that runs on a board")
  end
  return recipe
end

return {
  api         = 1,
  summary     = "Run a recipe for every unit that is put in, with records",
  example     = "moonflash station --folder line4 --page 8080 line.lua firmware.bin",
  description = "Ctrl-C ends it: units in work are finished first. Type ? and Enter for what can be"
    .. "\ndone meanwhile. 'moonflash help docs/station' leads from a desk to a line.",
  rest        = "the recipe, its arguments and options",
  args        = {
    { "--folder", "the station's folder, with its store (default: 'station' beside the recipe)",
      type = "string" },
    { "--page", "show a page for the operator in a browser: [ADDRESS:]PORT", type = "string" },
    { "--units", "end after that many units", type = "integer", min = 1 },
    { "--reference", "each unit is a reference: recorded, without a number", default = false },
  },

  setup = function(opt)
    local recipe = find_recipe(opt)
    local own = opt.options_behind(recipe)
    local page = opt.page and parse_page(opt.page)
    local store = open_store(opt, recipe)
    local _ <close> = setmetatable({}, { __close = function() store:close() end })
    require("moonflash.station.desk").run(recipe, own, { store = store, session = opt.session,
      reference = opt.reference, page = page, units = opt.units })
  end,
}

-- SPDX-License-Identifier: MIT
-- A folder for a new recipe: the recipe and its test, which are examples/first.lua under another
-- name, and what an editor needs to know the types.
local errors = require "moonflash.errors"
local files = require "moonflash.base.files"
local sys = require "sys"
local text = require "moonflash.base.text"
local types = require "moonflash.manual.types"

local EDITOR = [[
{
  "runtime.version": "Lua 5.4",
  "workspace.library": ["%s"]
}
]]

-- The folder with the types of the API: the one that `make install` has filled; else a copy is put
-- beside the recipe.
local function library(folder)
  local data = files.setting("XDG_DATA_DIRS", "/usr/local/share:/usr/share")
  for base in data:gmatch("[^:]+") do
    local place = base .. "/moonflash/library"
    if not place:find('["\\]') and sys.stat(place .. "/moonflash.lua") then return place end
  end
  assert(sys.mkdir(folder .. "/library"))
  files.write(folder .. "/library/moonflash.lua", types.make())
  return "library"
end

local function example(file, name)
  return (sys.builtin("scripts/examples/" .. file):gsub("^[^\n]*SPDX[^\n]*\n", "")
    :gsub("first(_?%a*)%.lua", name .. "%1.lua"))
end

---Makes the folder. Raises `usage` for a name that no recipe can have, and `file.write` if the
---folder exists, or can't be made.
---@param folder string its last part is the recipe's name
---@return string what was made, and what to type next
return function(folder)
  folder = folder:gsub("(.)/+$", "%1")
  local name = folder:match("[^/]*$")
  if not name:find("^%a[%w_-]*$") then
    errors.raise { code = "usage",
      message = ("'%s' is no name for a recipe: use letters, digits, _ and -"):format(name) }
  elseif name:find("_test$") then
    errors.raise { code = "usage",
      message = ("'%s' is a name for a test: recipes do not end in _test"):format(name) }
  elseif sys.stat(folder) then
    errors.raise { code = "file.write", message = folder .. " exists already",
      remedy = { "other-name" } }
  end
  local made, why = sys.mkdir(folder)
  if not made then
    errors.raise { code = "file.write", message = ("%s: %s"):format(folder, why) }
  end
  files.write(("%s/%s.lua"):format(folder, name), example("first.lua", name))
  files.write(("%s/%s_test.lua"):format(folder, name), example("first_test.lua", name))
  files.write(folder .. "/.luarc.json", EDITOR:format(library(folder)))
  local typed, file = text.shell_word(folder), text.shell_word(("%s/%s.lua"):format(folder, name))
  return ("%s/ has %s.lua, its test %s_test.lua, and .luarc.json for your editor.\n"):format(folder,
      name, name)
    .. ("  cd %s && moonflash test\n"):format(typed)
    .. ("  moonflash -d sim:f407 %s firmware.bin"):format(file)
end

-- SPDX-License-Identifier: MIT
-- recipes.lua: lists the named recipes and the examples, shows the source of one, or makes a new
-- one.
local recipe = require "moonflash.run.recipe"

-- The source of an example: "examples/product" or "examples/product.lua". Nil for other names.
local function example(name)
  local path = name:match("^examples/[^/]+$")
  return path and sys.builtin("scripts/" .. path:gsub("%.lua$", "") .. ".lua")
end

local function examples()
  local names = {}
  for i, file in ipairs(sys.builtins("scripts/examples/")) do
    names[i] = "  " .. file:match("^scripts/(.*)%.lua$")
  end
  return table.concat(names, "\n")
end

return {
  api     = 1,
  summary = "List the recipes, show one, or make a new one",
  args    = {
    { "--show", "print the source of this one", type = "string" },
    { "--new", "make a folder of that name with a first recipe and its test", type = "string" },
    { "--types", "print definitions of the API for editors (LuaCATS)", default = false },
  },

  setup = function(opt)
    if opt.new then return require("moonflash.cli.new_recipe")(opt.new) end
    if opt.types then return (require("moonflash.manual.types").make():gsub("\n$", "")) end
    if opt.show then
      return ((example(opt.show) or recipe.find(opt.show).source):gsub("\n$", ""))
    end
    return recipe.overview() .. "\n\nExamples to copy (moonflash recipes --show examples/product):"
      .. "\n" .. examples()
  end,
}

-- SPDX-License-Identifier: MIT
-- recipes.lua: lists the named recipes, or shows the source of one.
local recipe = require "moonflash.run.recipe"

return {
  api     = 1,
  summary = "List the recipes, or show one to copy",
  args    = {
    { "--show", "print the source of this one", type = "string" },
  },

  setup = function(opt)
    if opt.show then return (recipe.find(opt.show).source:gsub("\n$", "")) end
    return recipe.overview()
  end,
}

-- SPDX-License-Identifier: MIT
-- boards.lua: lists the families of chips that moonflash knows, or shows what is known of one.
local families = require "moonflash.ui.families"

return {
  api     = 1,
  summary = "Show what is known of a chip, and how well",
  args    = {
    { "name", "a family or a chip: STM32F407, f42x, GD32VF103", default = "" },
    { "--markdown", "print docs/boards.md", default = false },
  },

  setup = function(opt)
    if opt.markdown then return families.markdown() end
    if opt.name == "" then return families.list() end
    return families.named(opt.name)
  end,
}

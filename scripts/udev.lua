-- SPDX-License-Identifier: MIT
-- udev.lua: prints the udev rule that lets the user at the computer open boards in DFU mode.
local ids = require "moonflash.board.ids"

return {
  api     = 1,
  summary = "Print the udev rule that lets you open boards",

  setup = function()
    local lines = {
      "# The user at this computer may use boards in DFU mode (made by 'moonflash udev').",
      "# In /etc/udev/rules.d or /usr/lib/udev/rules.d, by a name whose number is below 73.",
    }
    for _, row in ipairs(ids.known) do
      lines[#lines + 1] = "# " .. row[3]
      lines[#lines + 1] = ids.udev_rule(row[1], row[2])
    end
    return table.concat(lines, "\n")
  end,
}

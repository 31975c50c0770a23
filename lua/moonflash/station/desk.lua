-- SPDX-License-Identifier: MIT
-- The edge of a station: its screen, its page, and what people type.
local acts = require "moonflash.station.acts"
local advice = require "moonflash.station.advice"
local dfu = require "dfu"
local screen = require "moonflash.station.screen"
local secret = require "moonflash.station.secret"
local stations = require "moonflash.station"
local sys = require "sys"
local text = require "moonflash.base.text"

local M = {}

local function summary(station)
  local counts = station.counts
  local errors = counts.errors > 0 and ", " .. text.count(counts.errors, "error") or ""
  station:say(("%s passed, %d failed%s%s."):format(text.count(counts.passed, "unit"), counts.failed,
    errors, counts.aborted > 0 and (", %d interrupted"):format(counts.aborted) or ""))
end

---Runs a station until a signal or an act ends it.
---@param recipe table
---@param opt table the recipe's options
---@param options table store=, session=, reference=, page= (address=, port=)
function M.run(recipe, opt, options)
  local page = options.page and require("moonflash.station.page").open(options.page)
  local station = stations.new(recipe, options)
  local shown <close> = screen.begin(station, options.session)
  local attended = false
  local _ <close> = advice.begin(recipe)
  station:run(opt, {
    attend = function()
      attended = true
      local desk = sys.desk()
      desk.remote = page ~= nil
      desk.open(function(line) acts.line(station, line) end)
      if page then page:serve(station) end
    end,
    close = function()
      sys.desk().close()
      if page then page:close() end
      shown:finish()
      if attended then summary(station) end
    end,
  })
  secret.reset()
  if dfu.defaults.dry then station:say("Nothing was written.") end
end

return M

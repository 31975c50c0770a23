-- SPDX-License-Identifier: MIT
-- Chooses how a run is shown. Each mode is a subscriber to events: bars for a terminal, several for
-- a terminal and several boards, lines without a terminal, json for programs, quiet.
local color = require "moonflash.ui.color"
local console = require "moonflash.ui.console"
local events = require "moonflash.base.events"

local M = {}

local mode -- the present subscriber

local function subscribe(subscriber)
  if mode then events.off(mode) end
  mode = subscriber
  events.on(mode)
end

-- Bars, which make way for rows while a run is for several boards.
local function new_bars()
  local bars = require("moonflash.ui.bars").new()
  function bars.boards(_, boards)
    if #boards < 2 then return end
    console.set_several()
    subscribe(require("moonflash.ui.several").new(boards, function() subscribe(new_bars()) end))
  end
  return bars
end

---Chooses the mode.
---@param options table json, quiet, trace: booleans; progress: "auto" or "never"
function M.begin(options)
  console.reset()
  if options.json then
    subscribe(require("moonflash.ui.json").new())
  elseif options.quiet then
    subscribe(require("moonflash.ui.quiet").new())
  elseif not options.trace and options.progress ~= "never" and color.can_draw() then
    subscribe(new_bars())
  else
    subscribe(require("moonflash.ui.lines").new())
  end
end

---Makes a subscriber the mode, until begin() chooses another one.
---@param subscriber table
function M.use(subscriber) subscribe(subscriber) end

---Chooses the mode `lines` if none has been chosen yet. Called before an error is shown.
function M.ensure()
  if not mode then subscribe(require("moonflash.ui.lines").new()) end
end

---Leaves a progress bar on the screen's last line; later output goes below it.
function M.end_drawing()
  if mode then mode:end_drawing() end
end

return M

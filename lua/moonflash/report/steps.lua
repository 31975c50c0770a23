-- SPDX-License-Identifier: MIT
-- The steps and measurements of a board's run, as tables.
local html = require "moonflash.report.html"
local parts = require "moonflash.report.tables"
local picture = require "moonflash.report.picture"
local measurement = require "moonflash.board.measurement"

local M = {}

local el, words = html.element, parts.words

local function bad(mark)
  return { " ", el("span", { class = "badge bad" }, "✗ " .. mark) }
end

local function step_table(result)
  local heads, rows, list = { "Step", "#Time" }, {}, result.stats.steps
  for i, step in ipairs(list) do
    rows[i] = {
      { words(step.name), i == #list and result.step and bad((parts.verdict(result))) },
      step.seconds and picture.seconds(step.seconds),
      step.limit and ("at most %g s"):format(step.limit),
    }
    if step.limit then heads[3] = "#Allowed" end
  end
  return parts.data_table(heads, rows)
end

local function limits_of(note)
  return (note.min or note.max) and measurement.should_be(note)
end

local function note_table(result)
  local heads, rows = { "Measurement", "Value" }, {}
  local function column(head, value_of)
    local any = false
    for _, note in ipairs(result.stats.notes) do any = any or value_of(note) end
    if not any then return end
    heads[#heads + 1] = head
    for i, note in ipairs(result.stats.notes) do
      local value = value_of(note)
      rows[i][#heads] = value and words(value) or ""
    end
  end
  for i, note in ipairs(result.stats.notes) do
    rows[i] = { words(note.name),
      { words(measurement.text(note)), not note.ok and bad("outside") } }
  end
  column("Limits", limits_of)
  column("In step", function(note) return note.step end)
  return parts.data_table(heads, rows)
end

---The table of steps; false if there are none.
---@param result table from run.on_board
---@return table|false markup
function M.steps(result)
  return #result.stats.steps > 0 and { el("h3", nil, "Steps"), step_table(result) }
end

---The table of measurements; false if there are none.
---@param result table from run.on_board
---@return table|false markup
function M.notes(result)
  return #result.stats.notes > 0 and { el("h3", nil, "Measurements"), note_table(result) }
end

return M

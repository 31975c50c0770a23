-- SPDX-License-Identifier: MIT
-- The building blocks of a report: lists, tables, and the verdict of a result.
local errors = require "moonflash.errors"
local html = require "moonflash.report.html"

local M = {}

local el = html.element

---@param value any
---@return table markup
function M.code(value)
  return el("code", nil, value)
end

local LONG = ("%S"):rep(24) -- a word of this length may be broken

---Text from a recipe, an operator or an instrument. Long words may be broken, to fit on the page.
---@param value string
---@return table markup
function M.words(value)
  return el("span", { class = value:find(LONG) and "long" }, value)
end

---A list of { name, value }. Rows without a value are left out.
---@param rows table[]
---@return table? markup
function M.descriptions(rows)
  local items = {}
  for _, row in ipairs(rows) do
    if row[2] and row[2] ~= "" then
      items[#items + 1] = { el("dt", nil, row[1]), el("dd", nil, row[2]) }
    end
  end
  return #items > 0 and el("dl", nil, items) or nil
end

local OWN_HEADS = 3

---A table. A head that begins with "#" means numbers, aligned right. On a small screen a row takes
---several lines, and all cells but the first OWN_HEADS show their heads.
---@param heads string[]
---@param rows table[][]
---@return table markup
function M.data_table(heads, rows)
  local tops, lines = {}, {}
  local numeric, words = {}, {}
  for i, head in ipairs(heads) do
    local mark
    mark, words[i] = head:match("^(#?)(.*)$")
    numeric[i] = mark ~= "" and "number" or nil
    tops[i] = el("th", { class = numeric[i], scope = "col" }, words[i])
  end
  for i, row in ipairs(rows) do
    local cells = {}
    for j = 1, #heads do
      cells[j] = el("td", { class = numeric[j], ["data-head"] = j > OWN_HEADS and words[j] },
        row[j])
    end
    lines[i] = el("tr", nil, cells)
  end
  return el("div", { class = "scroll" }, el("table", nil, el("thead", nil, el("tr", nil, tops)),
    el("tbody", nil, lines)))
end

-- ---- the outcome ----

---The verdict on a result, in a word or two, with its CSS class and its mark.
---@param result table
---@param dry boolean
---@return string word
---@return string class
---@return string mark
function M.verdict(result, dry)
  local stats = result.stats or {}
  if result.err ~= nil then
    local word = ({ TIMEOUT = "Timed out", ABORTED = "Aborted", ERROR = "Error" })[result.outcome]
    return word or "Failed", "bad", "✗"
  elseif dry then
    return "Dry run: nothing was changed", "warn", "–"
  elseif stats.unverified then
    return "Passed, NOT VERIFIED", "warn", "!"
  end
  return "Passed", "good", "✓"
end

---@return table markup
function M.badge(result, dry)
  local word, class, mark = M.verdict(result, dry)
  return el("span", { class = "badge " .. class }, mark .. " " .. word)
end

---@param err any
---@return table markup
function M.failure(err)
  return el("pre", { class = "bad" }, errors.matches(err, "exit")
    and ("The recipe ended the run with exit status %s."):format(tostring(err.status))
    or errors.text(err))
end

---The errors beside the first one, from clean-up at the end.
---@param list any[]? errors
---@return table markup
function M.failures(list)
  local items = {}
  for i, err in ipairs(list or {}) do items[i] = M.failure(err) end
  return items
end

return M

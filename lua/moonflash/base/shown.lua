-- SPDX-License-Identifier: MIT
-- Tables of data for programs, with a __tostring for people.
local M = {}

---@param data table
---@param render fun(data: table): string
---@return table data
function M.as(data, render)
  return setmetatable(data, { __tostring = render })
end

---Rows of cells, as text in aligned columns.
---@param rows string[][]
---@return string
function M.columns(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, #cell) end
  end
  local lines = {}
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      cells[i] = i < #row and cell .. (" "):rep(widths[i] - #cell) or cell
    end
    lines[#lines + 1] = (table.concat(cells, "  "):gsub("%s+$", ""))
  end
  return table.concat(lines, "\n")
end

return M

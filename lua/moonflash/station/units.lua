-- SPDX-License-Identifier: MIT
-- Module `units`, for recipes: what each unit has of its own.
local errors = require "moonflash.errors"
local misuse = require "moonflash.base.misuse"
local pools = require "moonflash.station.pool"
local unit = require "moonflash.station.unit"

local M = {}

-- The station that runs; its methods give out items.
local station

---Sets the station of this process.
---@param running? table
function M.serve(running) station = running end

---What was scanned for the unit on a board; nil: nothing.
---@param board table
---@return string?
function M.scan(board)
  local of = station and type(board) == "userdata" and station:unit_of(board)
  return of and of.scan or nil
end

-- What a recipe gets: a pool's methods, and nothing else of it.
local Handle = {}
local pool_of = setmetatable({}, { __mode = "k" })

function Handle:take(board)
  local pool = pool_of[self]
  if not pool or type(board) ~= "userdata" then
    misuse("pool:take(board): a Board, with a colon")
  end
  local of = station and station:unit_of(board)
  if not of then misuse("pool:take(board): the board is no unit in work") end
  return unit.take(of, pool)
end

function Handle:left()
  local pool = pool_of[self]
  if not pool then misuse("pool:left(), with a colon") end
  return pool:left()
end

---Opens a pool of items, in `setup`.
---@param spec string "PX-%06d", or the path of a CSV file beside the recipe
---@param options? table name=, from=, to=, secret=
---@return table Pool
function M.open(spec, options)
  if not station then
    errors.raise { code = "usage", message = "units.open: this recipe runs at a station",
                   hint = "moonflash station RECIPE" }
  end
  local pool = pools.open(station.store, spec, options, station.recipe.folder)
  station:add_pool(pool)
  local handle = setmetatable({}, { __name = "Pool", __index = Handle })
  pool_of[handle] = pool
  return handle
end

return M

-- SPDX-License-Identifier: MIT
-- Checks that an image is meant for a board: its ids, its kind, its address. The option `force`
-- overrides these checks.
local class = require "moonflash.board.class"
local errors = require "moonflash.errors"
local images = require "moonflash.image"

local M = {}

---Raises `image.address` for a raw program that was linked for another address. Plain DFU has no
---addresses, and RISC-V has no vector table of this kind.
---@param board table
---@param image table
function M.address(board, image)
  local state = class.state(board)
  if image.misplaced and state.dfuse and not state.part.riscv then error(image.misplaced, 0) end
end

-- Refuses a file that is not firmware, unless its address was given. A plain DFU device accepts any
-- file. For a RISC-V board only known file formats are refused.
local function check_firmware(board, image)
  local state, doubt = class.state(board), image.doubt
  if not doubt or not state.dfuse or state.part.riscv and not doubt.kind then return end
  local ok, err = pcall(images.refuse, board.path .. ": ", doubt.name, doubt.what)
  if not ok then
    err.path = board.path
    error(err, 0)
  end
end

local function check_machine(board, image)
  if image.machine ~= "RISC-V" or class.state(board).part.riscv then return end
  errors.raise { code = "image", path = board.path, remedy = { "force" },
    message = ("%s: %s is a RISC-V program; this board is not known to be RISC-V"):format(
      board.path, image.name) }
end

---Raises `image` if an image is not meant for a board.
---@param board table
---@param image table
function M.check(board, image)
  images.check_ids(image, board)
  M.address(board, image)
  check_firmware(board, image)
  check_machine(board, image)
end

return M

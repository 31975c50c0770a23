-- SPDX-License-Identifier: MIT
-- dfu-util's options, typed at moonflash: the line that does the same here.
local shell_word = require("moonflash.base.text").shell_word

local M = {}

-- What an option of dfu-util is called in a recipe.
local IN_RECIPES = {
  ["-s"] = "dfu-util's -s is --address, or FILE@ADDRESS; ':leave' is --leave",
  ["-D"] = "dfu-util's -D: the file stands alone: moonflash flash FILE",
  ["-U"] = "dfu-util's -U: moonflash read FILE",
  ["-a"] = "dfu-util's -a: the address shows the memory; else -d alt=1",
  ["-p"] = "dfu-util's -p is -d 1-4.2",
  ["-S"] = "dfu-util's -S is -d serial=...",
  ["-w"] = "dfu-util's -w is --wait SECONDS",
  ["-R"] = "dfu-util's -R: --leave starts the program",
  ["-v"] = "'moonflash info' shows everything about a board, --trace each request",
}

---What to say of an unknown option; nil where there is nothing.
---@param option string
---@return string?
function M.option(option) return IN_RECIPES[option] end

-- The selector for the board: "-d 1-4.2", "-d 0483:df11,serial=A1"; "" where none was given.
local function board_of(request)
  local items = {}
  local ids = request.ids and (request.ids.dfu or request.ids.runtime)
  if request.path then items[1] = request.path end
  if ids and ids.vid and ids.pid then items[#items + 1] = ("%04x:%04x"):format(ids.vid, ids.pid) end
  local serial = request.serial and request.serial.dfu
  if serial then items[#items + 1] = "serial=" .. serial end
  return #items > 0 and " -d " .. shell_word(table.concat(items, ",")) or ""
end

local function wait_of(request) return request.wait and " --wait 60" or "" end

local function download(request)
  local dfuse, words = request.dfuse, {}
  local file = request.file
  if dfuse.address then file = ("%s@0x%08X"):format(file, dfuse.address) end
  if dfuse.mass_erase then words[#words + 1] = " --erase-all" end
  if dfuse.unprotect then words[#words + 1] = " --unprotect --yes" end
  if dfuse.leave then words[#words + 1] = " --leave" end
  return "moonflash" .. wait_of(request) .. board_of(request) .. " flash " .. shell_word(file)
    .. table.concat(words)
end

local function upload(request)
  local dfuse = request.dfuse
  return "moonflash" .. wait_of(request) .. board_of(request)
    .. " read " .. shell_word(request.file)
    .. (dfuse.address and (" --address 0x%08X"):format(dfuse.address) or "")
    .. (dfuse.length and (" --length %d"):format(dfuse.length) or "")
end

local function command(request)
  local dfuse, board = request.dfuse, board_of(request)
  if dfuse.mass_erase then return "moonflash" .. board .. " erase --all" end
  if dfuse.unprotect then return "moonflash" .. board .. " unprotect --yes" end
  return "moonflash" .. board .. " leave"
    .. (dfuse.address and (" --address 0x%08X"):format(dfuse.address) or "")
end

local LINES = {
  download = download, upload = upload, command = command,
  list = function() return "moonflash list" end,
  version = function() return "moonflash --version" end,
  detach = function(request) return "moonflash" .. board_of(request) .. " detach" end,
}

---The line of moonflash for a command line of dfu-util; nil if it is none.
---@param argv string[]
---@return string?
function M.line(argv)
  local ok, request = pcall(require("moonflash.dfu_util.options").read, argv)
  local line = ok and LINES[request.mode]
  return line and line(request)
end

return M

-- SPDX-License-Identifier: MIT
-- The remedies for an error, in words. The library names the remedies and gives the facts. Here
-- each remedy has a sentence for the reader: the user who runs a recipe, which has some of the
-- options; the author of a script; or the user at the prompt, who types Lua. JSON has only the
-- names.
--
-- err.remedy is a list of names. Its other keys are facts for these names. again: the same command
-- should be run again afterwards. The others are described above each sentence.
local text = require "moonflash.base.text"

local SHOWN = 8 -- boards that a message lists

local M = {}

-- ---- the reader ----

-- options: those of the running recipe; nil for a script. prompts: number of open prompts.
local reader = { options = nil, prompts = 0 }

---Sets the reader: the user of a recipe with these arguments; nil: the author of a script.
---@param args? table[] checked
function M.for_recipe(args)
  reader.options = args and {}
  for _, arg in ipairs(args or {}) do reader.options[arg.name] = true end
end

---The reader is at a prompt until the returned value is closed.
---@return table
function M.for_prompt()
  reader.prompts = reader.prompts + 1
  return setmetatable({}, { __close = function() reader.prompts = reader.prompts - 1 end })
end

local function is_at_prompt() return reader.prompts > 0 end

-- The command for a shell, or its equivalent in Lua at the prompt.
local function either(command, lua)
  return is_at_prompt() and lua or command
end

-- " and run the same command again", if remedy.again is set.
local function and_again(remedy)
  if not remedy.again then return "" end
  return either(" and run the same command again", ", open it with board:open() and try again")
end

local function same_again()
  return either("Run the same command again", "Run the same call again")
end

-- The name of an option of flash.write as the reader writes it; nil if the recipe does not have it.
local function spelled(option, lua)
  if is_at_prompt() or not reader.options then return lua end
  return reader.options[option] and option or nil
end

-- ---- options ----

-- option: for the command line. lua: in a table of options. does: its effect.
local options = {
  keep = { option = "--keep", lua = "keep = true", does = "writes them back" },
  lose = { option = "--lose", lua = "lose = true", does = "discards them" },
  force = { option = "--force", lua = "force = true", does = "overrides this check" },
  yes = { option = "--yes", lua = "yes = true", does = "confirms it" },
  ["skip-outside"] = { option = "--skip-outside", lua = "skip_outside = true",
                       does = "leaves these pieces out" },
  only = { option = "--only", lua = "only = \"FIRST..LAST\"", argument = " FIRST..LAST or MEMORY",
           does = "writes only that part of the image" },
  otp = { option = "--otp", lua = "otp = true", does = "writes it" },
}

-- Nil if the running recipe does not have the option.
local function option_sentence(row)
  local in_lua = is_at_prompt() or not reader.options
  if in_lua then return ("{ %s } %s."):format(row.lua, row.does) end
  if not reader.options[row.option] then return nil end
  return ("%s%s %s."):format(row.option, row.argument or "", row.does)
end

-- ---- sentences ----

M.ways = {}
local ways = M.ways

function ways.again(_, err)
  if err.kept then
    return ("The kept bytes are in %s.\n"):format(err.kept) .. either(
      "Run the same command again in this folder: it writes them back.",
      "Run the same call again in this folder: it writes them back.")
  end
  return either("Run the same command again to finish.", "Run the same call again to finish.")
end

-- boot0: the pin is named BOOT0.
function ways.replug(remedy)
  return ("Reconnect the board%s%s."):format(remedy.boot0 and " (BOOT0 high)" or "",
    and_again(remedy))
end

ways["again-then-replug"] = function(remedy)
  return ("%s. If the error comes back, reconnect the board%s first."):format(same_again(),
    remedy.boot0 and " with BOOT0 high" or "")
end

-- After "wait", this is the next thing to try.
ways["reset-or-replug"] = function(remedy)
  local reset = remedy[1] == "wait" and "If that does not help, reset" or "Reset"
  return ("%s or reconnect the board%s%s."):format(reset,
    remedy.boot0 and " (BOOT0 high)" or "", and_again(remedy))
end

function ways.cable(remedy)
  return "Check the cable." .. (remedy.again and " " .. same_again() .. "." or "")
end

-- seconds: the longest wait. doing: the operation that still runs.
function ways.wait(remedy)
  if not remedy.doing then
    return ("The board may still be erasing for another program, which takes up to half a minute. "
      .. "Try again%s."):format(either(", for example with --wait 60", ""))
  end
  return ("The board is still %s, for up to %d s more.\nWait, and try again."):format(
    remedy.doing, remedy.seconds)
end

ways["backing-file"] = function()
  return "Check that the file of the simulated board's flash can be written."
end

-- path: the board's, if there are several. sure: read protection is known to be the cause.
function ways.unprotect(remedy)
  local removes = either("'moonflash unprotect'", "flash.unprotect(board)")
  local sentence = removes .. " removes the protection, and ERASES THE WHOLE CHIP."
  if reader.options and not is_at_prompt() and reader.options["--unprotect"] then
    sentence = "--unprotect removes the protection first, and ERASES THE WHOLE CHIP."
  end
  if remedy.sure then return sentence end
  return "ST's ROMs answer like this while the chip is read-protected; other boot loaders have "
    .. "other reasons.\n" .. sentence
end

function ways.detach(remedy)
  local path = remedy.path and (" -d %s"):format(remedy.path) or ""
  local lua = remedy.path and ("board = dfu.at(%q); board:detach()"):format(remedy.path)
    or "board:detach()"
  return either(("'moonflash%s detach'"):format(path), lua) .. " puts it into DFU mode."
end

function ways.leave(remedy)
  return either(("'moonflash -d %s leave'"):format(remedy.path),
    ("dfu.open(%q):leave()"):format(remedy.path)) .. " starts its program."
end

-- probe: path of an ST-LINK. no_wait: --wait would not help.
ways["enter-dfu"] = function(remedy)
  local probe = remedy.probe and ("An ST-LINK is connected (%s): that is the Discovery's mini-USB "
    .. "socket. DFU needs its micro-USB socket too.\n"):format(remedy.probe) or ""
  local again = either("then run the same command again"
    .. (remedy.no_wait and "." or ", or add --wait 60."), "then: board = dfu.open()")
  return probe .. "STM32: connect BOOT0 to VDD (on an F4 also PB2 to GND), press reset, " .. again
    .. either("\nWithout a board: --device sim:f407 is a simulated one.",
      "\nWithout a board: dfu.open(\"sim:f407\") opens a simulated one.")
end

ways["blank-simulated"] = function(remedy)
  return "A simulated board is blank in each run. With a file it keeps its flash:\n  "
    .. either("-d %s", "dfu.open(%q)"):format(remedy.path .. ",flash=board.img")
end

ways["right-board"] = function()
  return either("Connect the right board there and run the same command again.",
    "Connect the right board there and try again.")
end

-- The facts by which boards are told apart: "315A28A0B956  STM32  BOOTLOADER".
local function who(info)
  return ("%s  %s"):format(info.serial or "no serial number", info.product or "no name")
end

-- boards: those in DFU mode, which don't match.
function ways.others(remedy)
  local lines = { "In DFU mode:" }
  for i, info in ipairs(remedy.boards) do
    if i > SHOWN then
      lines[#lines + 1] = ("  and %d more"):format(#remedy.boards - SHOWN)
      break
    end
    lines[#lines + 1] = ("  %s  %04x:%04x  %s"):format(info.path, info.vid, info.pid, who(info))
  end
  return table.concat(lines, "\n")
end

-- paths: of the matching boards; boards: what is known of them.
function ways.choose(remedy)
  local lines = {}
  for i, path in ipairs(remedy.paths) do
    local info = remedy.boards and remedy.boards[i]
    lines[i] = either("-d " .. path, ("board = dfu.open(%q)"):format(path))
      .. (info and "    " .. who(info) or "")
  end
  if not is_at_prompt() then lines[#lines + 1] = "--every-board" end
  return table.concat(lines, "\n")
end

ways["close-other"] = function()
  return either("End the other program and run the same command again.",
    "End the other program and try again.")
end

function ways.udev()
  return "To allow access for the user at this computer:\n"
    .. "  moonflash udev | sudo tee /etc/udev/rules.d/70-moonflash.rules\n"
    .. "  sudo udevadm control --reload && sudo udevadm trigger"
end

local F407 = "@Flash/0x08000000/04*016Kg,01*064Kg,07*128Kg"

function ways.layout(remedy)
  if remedy.wrong then
    return "The layout of this board is wrong, or its boot loader erases too much.\n"
      .. "The former contents are lost there, and perhaps elsewhere.\n"
      .. "Write again everything that this board needs."
  end
  return "If the board never reports its layout, " .. either(("add --layout. For an STM32F407:\n"
    .. "  --layout %s"):format(F407), "start the prompt with --layout.")
end

ways["no-layout"] = function()
  return "Leave --layout out. The image is then written from the start of the memory."
end

ways["other-layout"] = function()
  return ("For example: --layout %s is an STM32F407's."):format(F407)
end

function ways.info()
  return either("'moonflash info' shows what each memory allows.",
    "board:regions() shows what each memory allows.")
end

function ways.optbytes(remedy)
  if remedy.changes then
    return either(("moonflash optbytes %s    tries again"):format(remedy.changes),
      "Write the option bytes again.")
  end
  return either("'moonflash optbytes' shows the option bytes, and sets them by name.",
    "optbytes.read(board) shows the option bytes, optbytes.write(board, { NAME = value }) sets "
    .. "them.")
end

-- optbytes: the layout of the board's option bytes is known.
ways["write-protection"] = function(remedy, err)
  local sentence = err.code == "verify.not-blank"
    and "Either the sector is write-protected, or the boot loader ignored the command."
    or (remedy.again and same_again() .. ". If it fails again, the" or "The")
    .. " sector may be write-protected."
  if not remedy.optbytes then return sentence end
  return sentence .. "\n" .. either("'moonflash optbytes'", "optbytes.read(board)")
    .. " shows the write protection."
end

ways["not-protected"] = function(remedy)
  return (remedy.again and same_again() .. ". " or "")
    .. "No write protection is set there; if it fails again at this address, the flash may be "
    .. "worn out."
end

-- names: of the formats in which images are written.
function ways.formats(remedy)
  return "There are " .. table.concat(remedy.names, ", ") .. "."
end

-- command: the one with a wrong option. guess: what was meant, if that can be guessed.
function ways.help(remedy)
  return (remedy.guess and remedy.guess .. "\n" or "") .. remedy.command
    .. " --help    shows the options"
end

function ways.describe()
  return "The descriptions are data, in lua/moonflash/board/families/. CONTRIBUTING explains how "
    .. "to add one."
end

function ways.plain()
  return "board:write(0, data) writes its memory, board:read(0, length) reads it."
end

function ways.unsupported()
  return "The board does not support the request, or not in its present state: board:get_state() "
    .. "shows the state."
end

-- option: of flash.write, as it is written in Lua.
ways["leave-out"] = function(remedy)
  local option = spelled("--" .. remedy.option:gsub("_", "-"), remedy.option)
  return option and ("Leave %s out."):format(option)
end

ways["only-syntax"] = function()
  return (spelled("--only", "only") or "The part") .. " is two addresses, FIRST..LAST, or a "
    .. "memory: its number or the start of its name. "
    .. either("'moonflash info'", "board:regions()") .. " shows the memories."
end

ways["no-leave"] = function()
  local leave = spelled("--leave", "leave = true")
  return (leave and ("Write without %s, or write"):format(leave) or "Write")
    .. " an image that has a vector table."
end

-- How an address may have been mistyped, if the meant one is known; else "".
local function slip(given, meant)
  if not given or not meant then return "" end
  if tonumber(("%d"):format(given), 16) == meant then
    return ("%d without 0x is the decimal number of %s. "):format(given, text.hex(given))
  end
  return given * 16 == meant and ("%s has one zero too few. "):format(text.hex(given)) or ""
end

-- err.file: the file without an address. err.address: the address it was linked for, if known.
function ways.address(remedy, err)
  if remedy.leave then
    return either("Give the address of the vector table: 'moonflash leave --address ADDRESS'\n"
      .. "(in Lua: board:leave(address)).", "board:leave(ADDRESS) takes the address of the vector "
      .. "table.")
  elseif err.code == "image.address" then
    return err.address and ("%s%s@%s writes it where it was linked for."):format(
      slip(remedy.given, err.address), err.file, text.hex(err.address))
      or ("%s@ADDRESS writes it to the address that it was linked for."):format(err.file)
  end
  return ("%s@0x08000000 writes it to that address."):format(err.file)
end

ways["file-address"] = function()
  return "FILE@ADDRESS gives the address of a raw binary: app.bin@0x08010000"
end

function ways.pad()
  return "Write it as hex, srec or dfu; or fill the gaps:\n"
    .. either("'moonflash convert --pad', in Lua image:pad(first, last).",
      "image:pad(first, last).")
end

ways["pad-range"] = function() return "image:pad(first, last) fills gaps." end

ways["power-cycle"] = function(remedy)
  if remedy.info then
    return "Switch the power off and on (a reset is not enough), then run "
      .. either("'moonflash info'.", "board:open().")
  end
  return "Switch the power off and on. " .. same_again() .. ".\n"
    .. "A boot loader other than ST's may not support the command."
end

ways["other-boot-loader"] = function()
  return "The board did not carry out read unprotect.\n"
    .. "A boot loader other than ST's may not support the command."
end

ways["erase-sectors"] = function()
  return "The board can't be read and is not a known ROM. Some boot loaders accept a "
    .. "mass erase and do nothing. Erase sectors instead: " .. either(
    "'moonflash erase --address ADDRESS --length BYTES'.", "flash.erase(board, sectors).")
end

ways["reset-to-run"] = function()
  return "Set BOOT0 low, or release the button that selects DFU mode. Then reset or reconnect the "
    .. "board."
end

function ways.irreversible()
  if reader.options and not is_at_prompt() then return "If you mean it, add --irreversible." end
  return "If you mean it, add irreversible = true."
end

-- changes: the arguments of `moonflash optbytes` that remove all write protection.
ways["write-protected"] = function(remedy)
  return either(("'moonflash optbytes %s' removes all write protection."):format(remedy.changes),
    "optbytes.write(board, changes) changes the option bytes.")
end

ways["second-bank"] = function()
  local option = spelled("--erase-all", "{ erase_all = true }")
  return (option and option .. " erases the whole chip with one command, of which this fault is "
      .. "not known (inferred).\n" or "")
    .. "The debug port can erase these sectors, too."
end

function ways.replay()
  return "A strict replay ends at the first request that the recorded tool did not send."
end

function ways.boards()
  return either("'moonflash boards' lists the families.", "docs/boards.md lists the families.")
end

ways["no-command"] = function()
  return "Other tools, at the debug port, can do what this boot loader can't."
end

ways["radio-unknown"] = function()
  return "A layout with the part of the flash that is yours limits what is touched"
    .. either(":\n--layout @Flash/0x08000000/100*4Kg", ".")
end

function ways.radio() return "Leave these sectors out of the file." end

ways["otp-written"] = function() return "Leave this part out of the file." end

function ways.unproven()
  return either("'moonflash boards' tells what is known of the chip.\n", "")
    .. (reader.options and not is_at_prompt() and "If you are sure, add --unproven."
      or "If you are sure, add unproven = true.")
end

-- For raw blocks and writes that would close a chip.
ways["irreversible-block"] = function()
  return "If you mean it, pass { irreversible = true } as the last argument."
    .. either("\nOr use 'moonflash optbytes --irreversible'.", "")
end

ways["report-board"] = function()
  return same_again() .. ". If it fails again, please report this board: data may have "
    .. "been written to other addresses, and read from other addresses."
end

-- file, first, last, path, alt; elsewhere: path of another place; this board has other bytes.
function ways.restore(remedy)
  local alt = remedy.alt
  local shell = ("  moonflash -d '%s%s' flash %s --lose"):format(remedy.path,
    alt and (",alt=%d"):format(alt) or "", remedy.file)
  local lua = ("%s  flash.write(board, image.load(%q), { lose = true })"):format(
    alt and ("  board:select(%d)\n"):format(alt) or "", remedy.file)
  return ("The file has the bytes of %s. They may exist nowhere else.\n%s"
    .. "To write them back:\n%s\nOr run the unfinished command again, to complete it.\n"
    .. "Or remove the file, if its bytes are not needed."):format(
    text.range(remedy.first, remedy.last), remedy.elsewhere
    and ("This board has other bytes there: is it the one that was at %s?\n"):format(
      remedy.elsewhere) or "", either(shell, lua))
end

-- boot0: the pin is named BOOT0.
ways["look-for-program"] = function(remedy)
  return (remedy.boot0 and "Is BOOT0 low? " or "") .. "Does the program have a USB device?"
end

ways["other-name"] = function() return "Give another name, or remove the file." end

function ways.selector()
  return "Use a path (1-4.2), a slot, VID:PID (0483:df11), serial=..., alt=..., mode=runtime, "
    .. "several of them with commas between, or sim:f407."
end

function ways.sim()
  return either("'moonflash sim --kinds' lists the kinds. ", "sim.catalogue() lists the kinds. ")
    .. either("'moonflash help sim:'", "help \"sim:\"") .. " explains the\nparameters."
end

-- name: a free name for another board of this kind.
ways["sim-name"] = function(remedy)
  return "For example: " .. (remedy.name or "sim:f407")
end

function ways.product()
  return either("'moonflash help product' has an example.", "help \"product\" has an example.")
end

function ways.list()
  return either("moonflash list", "dfu.list()")
    .. "    shows the paths of the boards that are connected"
end

ways["slots-syntax"] = function()
  return 'return { left = "1-4.1", right = "1-4.2" }    names two places'
end

-- file: the path of the user's slots file.
function ways.slots(remedy)
  return ("%s can name them:\n  return { left = \"1-4.1\", right = \"1-4.2\" }\n"
    .. "'moonflash slots' shows them; --slots names another file."):format(remedy.file)
end

function ways.place() return "Use -d 1-4.2, -d SLOT, or --every-slot." end

ways["run-file"] = function(remedy)
  return ("If the file is a recipe: moonflash ./%s"):format(remedy.file)
end

function ways.recipes() return "moonflash recipes    lists them" end

function ways.install() return "Is the program installed, and in PATH?" end

-- ports: those of USB devices, in words.
function ways.touch(remedy)
  if remedy.ports == "" then return "There are no serial ports of USB devices." end
  return ("Name the port. There are: %s."):format(tostring(remedy.ports))
end

ways["plug-in"] = function() return "Is it plugged in?" end

ways["may-run"] = function() return "Is it a program, and may this user run it?" end

function ways.dialout()
  return "To allow access for this user: sudo usermod -aG dialout $USER, then log in again."
end

ways["in-use"] = function() return "Another program, or this one, has it open." end

function ways.memory()
  return "Does this process have a limit (ulimit -v)? " .. same_again() .. " without it."
end

-- ---- facts ----

-- Facts beside the message, in the order of reading.

-- err.memory: name, first, last; others: there are more memories. plain: plain DFU. none: no layout
-- is known. option_bytes: the error is about option bytes.
local function memory_sentence(memory)
  if memory.option_bytes then
    return ways.optbytes {}
  elseif memory.plain then
    return "Plain DFU has one memory and no addresses: it is written from its start."
  elseif memory.none then
    return "The board does not report where its memory begins and ends.\n"
      .. ways.replug { again = true } .. "\n" .. ways.layout {}
  end
  local others = memory.others and either("; 'moonflash info' shows the others.",
    "; board:regions() shows the others.") or "."
  return ("%s is %s%s"):format(memory.name, text.range(memory.first, memory.last), others)
end

-- err.differing: number of sectors that differ; err.checked: number of sectors compared.
local function count_sentence(err)
  local one = err.differing == 1
  if err.code == "verify.not-blank" then
    return ("%d of %s %s not erased."):format(err.differing,
      text.count(err.checked, "checked sector"), one and "was" or "were")
  end
  return ("%d of %s %s."):format(err.differing, text.count(err.checked, "sector"),
    one and "differs" or "differ")
end

local function facts_before(err, lines)
  if err.differing then lines[#lines + 1] = count_sentence(err) end
  if err.reported then
    lines[#lines + 1] = "The board reports this memory, and refuses it all the same."
  end
  if err.bytes then
    lines[#lines + 1] = ("The option bytes are %s."):format(text.bytes(err.bytes))
  end
end

local function facts_behind(err, lines)
  if err.memory then lines[#lines + 1] = memory_sentence(err.memory) end
end

local WIDTH = 78 -- columns: a hint is shown with two spaces in front

-- Breaks a sentence into lines. A line that is indented or has columns is to be copied: it stays.
local function fill(line)
  if #line <= 80 or line:find("^ ") or line:find("    ", 1, true) then return line end
  return table.concat(text.wrap(line, WIDTH), "\n")
end

local function compose(err)
  local lines = {}
  facts_before(err, lines)
  local remedy = type(err.remedy) == "table" and err.remedy or {}
  for _, name in ipairs(remedy) do
    local sentence
    if options[name] then
      sentence = option_sentence(options[name])
    elseif M.ways[name] then
      sentence = M.ways[name](remedy, err)
    end
    if sentence then lines[#lines + 1] = sentence end
  end
  facts_behind(err, lines)
  return #lines > 0 and (table.concat(lines, "\n"):gsub("[^\n]+", fill)) or nil
end

---The hint of an error; nil if there is none, or if the error of a script lacks the facts for it.
---@param err table error object
---@return string?
function M.hint(err)
  local ok, hint = pcall(compose, err)
  return ok and hint or nil
end

---The names of the remedies, for programs; nil if there are none.
---@param err table error object
---@return string[]?
function M.names(err)
  local remedy = type(err.remedy) == "table" and err.remedy or {}
  return #remedy > 0 and table.move(remedy, 1, #remedy, 1, {}) or nil
end

return M

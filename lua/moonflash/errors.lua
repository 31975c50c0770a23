-- SPDX-License-Identifier: MIT
-- Error codes with their exit status and outcome; raise, catch and fail.
local inspect = require "moonflash.base.inspect"
local misuse = require "moonflash.base.misuse"
local new = require "moonflash.error"
local suggest = require "moonflash.base.suggest"

local M = { new = new }

-- The exit status and the outcome of a run that ends in an error of that code, or of a child of
-- that code ("dfu" is for "dfu.errTARGET" too).
M.codes = {
  ["usage"]           = { 64, "ERROR" },
  ["image"]           = { 65, "ERROR" },
  ["file"]            = { 66, "ERROR" },
  ["file.write"]      = { 73, "ERROR" },
  ["usb"]             = { 74, "FAIL" },
  ["usb.no-device"]   = { 69, "ERROR" },
  ["usb.gone"]        = { 74, "FAIL" },
  ["usb.busy"]        = { 75, "ERROR" },
  ["usb.permission"]  = { 77, "ERROR" },
  ["usb.several"]     = { 81, "ERROR" },
  ["dfu"]             = { 76, "FAIL" },
  ["dfu.still-there"] = { 74, "FAIL" },
  ["verify"]          = { 79, "FAIL" },
  ["board.protected"] = { 80, "FAIL" },
  ["board.power-cycle"] = { 80, "FAIL" },
  ["board.write-protected"] = { 80, "FAIL" },
  ["output"]          = { 74, "ERROR" },
  ["sys"]             = { 71, "ERROR" },
  ["sys.busy"]        = { 75, "ERROR" },
  ["sys.permission"]  = { 77, "ERROR" },
  ["store"]           = { 74, "ERROR" },
  ["store.busy"]      = { 75, "ERROR" },
  ["station"]         = { 1, "ERROR" },
  ["station.policy"]  = { 77, "ERROR" },
  ["timeout"]         = { 82, "TIMEOUT" },
  ["cancelled"]       = { 130, "ABORTED" },
  ["fail"]            = { 1, "FAIL" },
  ["recipe"]          = { 1, "ERROR" },
  ["deadlock"]        = { 1, "ERROR" },
}

-- Returns the hint of an error that has no `hint` of its own. Set by the command line.
local advice

---Sets the function that turns an error's remedies into a hint; it returns nil if there is none.
---@param f? fun(err: table): string?
function M.set_advice(f) advice = f end

getmetatable(new { code = "", message = "" }).__index = function(err, key)
  if key == "hint" and advice then return advice(err) end
end

-- "the first board: " .. err
getmetatable(new { code = "", message = "" }).__concat = function(a, b)
  return tostring(a) .. tostring(b)
end

---Whether a value is an error object.
---@type fun(value: any): boolean
M.is = inspect.is_error

---Raises an error object.
---@param fields table code, message, and more
function M.raise(fields)
  error(new(fields), 0)
end

-- An error that is being passed on, with the traceback of the task that raised it.
local Raised = { __tostring = function(raised) return tostring(raised.err) end }

---Raises an error with the traceback of its origin. An error that has one already keeps it.
---@param err any
---@param traceback? string
function M.raise_from(err, traceback)
  if getmetatable(err) ~= Raised then
    err = setmetatable({ err = err, traceback = traceback }, Raised)
  end
  error(err, 0)
end

---The error inside a raised value, and its traceback.
---@param raised any
---@return any err
---@return string? traceback
function M.origin(raised)
  if getmetatable(raised) ~= Raised then return raised end
  return raised.err, raised.traceback
end

---Whether the error's code is `code` or a child of it.
---@param err any
---@param code string
---@return boolean
function M.matches(err, code)
  return M.is(err) and (err.code == code or err.code:sub(1, #code + 1) == code .. ".")
end

local function meaning(err)
  local code = M.is(err) and err.code or ""
  while code ~= "" do
    if M.codes[code] then return M.codes[code] end
    code = code:match("^(.*)%.[^.]*$") or ""
  end
  return { 1, "ERROR" }
end

---The exit status of a run that ended with this error.
---@param err any
---@return integer
function M.exit_status(err)
  if M.is(err) and err.code == "exit" and math.type(err.status) == "integer" then
    return err.status
  end
  return meaning(err)[1]
end

---The outcome of a run: PASS without an error, else ERROR, FAIL, TIMEOUT or ABORTED.
---@param err any
---@return string
function M.outcome(err)
  if err == nil then return "PASS" end
  if M.matches(err, "usb.no-device") and err.was_there then return "FAIL" end
  return meaning(err)[2]
end

local function sift(code, ok, ...)
  if ok then return ... end
  local err = ...
  if M.matches(err, code) then return nil, err end
  error(err, 0)
end

-- Codes with the meaning of their parent. dfu.err... are those of DFU 1.1, section 6.1.2.
M.children = {
  "image.address", "image.not-firmware", "image.no-program", "image.kept", "usb.io", "dfu.stall",
  "dfu.state", "dfu.runtime", "dfu.unreadable", "dfu.reset", "dfu.irreversible", "dfu.unproven",
  "dfu.rom", "dfu.mass-erase",
  "dfu.unknown", "dfu.unknown-part", "dfu.outside", "dfu.not-dfuse", "sys.missing", "sys.ended",
  "sys.io", "sys.memory", "verify.not-blank", "verify.bystander", "board", "exit",
  "store.full", "store.damaged", "store.constraint", "station.again", "station.empty",
  "dfu.errTARGET", "dfu.errFILE", "dfu.errWRITE", "dfu.errERASE", "dfu.errCHECK_ERASED",
  "dfu.errPROG", "dfu.errVERIFY", "dfu.errADDRESS", "dfu.errNOTDONE", "dfu.errFIRMWARE",
  "dfu.errVENDOR", "dfu.errUSBR", "dfu.errPOR", "dfu.errUNKNOWN", "dfu.errSTALLEDPKT",
}

local all, firsts = suggest.keys(M.codes), {} -- codes; first parts of codes
for _, code in ipairs(M.children) do all[#all + 1] = code end
for _, code in ipairs(all) do
  all[code], firsts[#firsts + 1] = true, code:match("^[^.]+")
end

-- Raises misuse for a misspelt code: the first part is like one of ours, and the whole code does
-- not exist. Scripts may use codes of their own.
local function check_code(code)
  local first = code:match("^[^.]*")
  if all[code] or not suggest.guess(first, firsts) then return end
  misuse("catch: there is no error code '%s'%s", code, suggest.hint(code, all))
end

---Calls f; returns its results, or nil and the error if its code is `code` or a child of it.
---@param code string
---@param f function
function M.catch(code, f, ...)
  if type(code) ~= "string" then misuse("catch takes an error code first") end
  check_code(code)
  return sift(code, pcall(f, ...))
end

---Raises `fail`: the board has failed. Called by recipes.
---@param message string a format for string.format, if arguments follow
function M.fail(message, ...)
  message = tostring(message)
  if select("#", ...) > 0 then
    local ok, formatted = pcall(string.format, message, ...)
    if not ok then misuse("fail(message, ...): %s", formatted:match("%((.*)%)$") or formatted) end
    message = formatted
  end
  local board = require("task").tag()
  M.raise { code = "fail", message = board and board.path .. ": " .. message or message,
            path = board and board.path }
end

---A value as tostring() gives it, also if its __tostring fails. For a table with a code and a
---message: the message.
---@type fun(value: any): string
M.words = inspect.words

---Converts Lua's "not enough memory", which is a string, to an error object. Where Lua was
---compiling a file, a position stands before it. Returns any other value unchanged.
---@param err any
---@return any
function M.of_memory(err)
  local is_memory = err == "not enough memory"
    or type(err) == "string" and err:find(":%d+: not enough memory$")
  if not is_memory then return err end
  return new { code = "sys.memory", message = "not enough memory",
               remedy = { "memory" } }
end

---The text of an error. For a table that is not an error object: its message, or its contents.
---@param err any
---@return string
function M.said(err)
  local meta = getmetatable(err)
  if type(err) ~= "table" or type(meta) == "table" and meta.__tostring then return M.words(err) end
  local message = rawget(err, "message")
  if type(message) == "string" then return message end
  return "an error that is a table: " .. inspect.inspect(err)
end

---The lines to show for an error: the message, the state of the flash, the hint.
---@param err any
---@return string
function M.text(err)
  if not M.is(err) then return M.said(err) end
  local where = err.where and " (it was at " .. err.where:gsub("/%./", "/") .. ")" or ""
  local lines = { err.message .. where }
  for _, more in ipairs { err.flash or false, err.hint or false } do
    if more then
      for line in M.words(more):gmatch("[^\n]+") do lines[#lines + 1] = "  " .. line end
    end
  end
  return table.concat(lines, "\n")
end

return M

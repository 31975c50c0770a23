-- SPDX-License-Identifier: MIT
-- What the codes of error objects mean: exit status and outcome; and catch and fail.
local inspect = require "moonflash.base.inspect"
local misuse = require "moonflash.base.misuse"
local new = require "moonflash.error"
local suggest = require "moonflash.base.suggest"

local M = { new = new }

-- The exit status and the outcome of a run that ends in an error of that code, or of a child of
-- it ("dfu" is for "dfu.errTARGET" too).
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
  ["output"]          = { 74, "ERROR" },
  ["sys"]             = { 71, "ERROR" },
  ["sys.busy"]        = { 75, "ERROR" },
  ["sys.permission"]  = { 77, "ERROR" },
  ["timeout"]         = { 82, "TIMEOUT" },
  ["cancelled"]       = { 130, "ABORTED" },
  ["fail"]            = { 1, "FAIL" },
  ["recipe"]          = { 1, "ERROR" },
  ["deadlock"]        = { 1, "ERROR" },
}

-- What to do next, in words, where the error does not have a hint of its own: the edge sets it.
local advice

---f(err) gives the hint of an error that names its remedies; nil where it has none.
---@param f? fun(err: table): string?
function M.set_advice(f) advice = f end

getmetatable(new { code = "", message = "" }).__index = function(err, key)
  if key == "hint" and advice then return advice(err) end
end

---Whether a value is an error object.
---@type fun(value: any): boolean
M.is = inspect.is_error

---Raises an error object.
---@param fields table code, message, and more
function M.raise(fields)
  error(new(fields), 0)
end

-- An error on its way up, with the traceback of the task that raised it.
local Raised = { __tostring = function(raised) return tostring(raised.err) end }

---Raises an error with the traceback of where it came from inside.
---@param err any
---@param traceback? string
function M.raise_from(err, traceback)
  if getmetatable(err) ~= Raised then
    err = setmetatable({ err = err, traceback = traceback }, Raised)
  end
  error(err, 0)
end

---The error that was raised, and its traceback.
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

---The exit status of a run that ended in this error.
---@param err any
---@return integer
function M.exit_status(err)
  if M.is(err) and err.code == "exit" and math.type(err.status) == "integer" then
    return err.status
  end
  return meaning(err)[1]
end

---PASS is no error; else ERROR, FAIL, TIMEOUT or ABORTED.
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

-- The codes that have their parent's meaning. dfu.err... are DFU 1.1's, section 6.1.2.
M.children = {
  "image.address", "image.not-firmware", "image.no-program", "image.kept", "usb.io", "dfu.stall",
  "dfu.state", "dfu.runtime", "dfu.unreadable", "dfu.reset", "dfu.irreversible", "dfu.mass-erase",
  "dfu.unknown", "dfu.unknown-part", "dfu.outside", "dfu.not-dfuse", "sys.missing", "sys.ended",
  "sys.io", "sys.memory", "verify.not-blank", "verify.bystander", "board", "exit",
  "dfu.errTARGET", "dfu.errFILE", "dfu.errWRITE", "dfu.errERASE", "dfu.errCHECK_ERASED",
  "dfu.errPROG", "dfu.errVERIFY", "dfu.errADDRESS", "dfu.errNOTDONE", "dfu.errFIRMWARE",
  "dfu.errVENDOR", "dfu.errUSBR", "dfu.errPOR", "dfu.errUNKNOWN", "dfu.errSTALLEDPKT",
}

local all, firsts = suggest.keys(M.codes), {} -- codes; first parts of them
for _, code in ipairs(M.children) do all[#all + 1] = code end
for _, code in ipairs(all) do
  all[code], firsts[#firsts + 1] = true, code:match("^[^.]+")
end

-- Raises misuse where a code is misspelt: its first part is one of ours, or nearly so, and the
-- whole code is not. Scripts may have codes of their own.
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

---Says that the board is at fault: raises `fail`.
---@param message string for string.format, if more follows
function M.fail(message, ...)
  message = tostring(message)
  if select("#", ...) > 0 then message = message:format(...) end
  local board = require("task").tag()
  M.raise { code = "fail", message = board and board.path .. ": " .. message or message,
            path = board and board.path }
end

---What a value says of itself, whose __tostring may fail; of a table with a code and a message, the
---message.
---@type fun(value: any): string
M.words = inspect.words

---Lua's own word for a lack of memory, which is text, as an error object; anything else as it is.
---@param err any
---@return any
function M.of_memory(err)
  if err ~= "not enough memory" then return err end
  return new { code = "sys.memory", message = "not enough memory",
               remedy = { "memory" } }
end

---What an error says: of a table that is no error object, its message, or what is in it.
---@param err any
---@return string
function M.said(err)
  local meta = getmetatable(err)
  if type(err) ~= "table" or type(meta) == "table" and meta.__tostring then return M.words(err) end
  local message = rawget(err, "message")
  if type(message) == "string" then return message end
  return "an error that is a table: " .. inspect.inspect(err)
end

---The lines that a person sees: the message, then the state of the flash and the hint.
---@param err any
---@return string
function M.text(err)
  if not M.is(err) then return M.said(err) end
  local lines = { err.message }
  for _, more in ipairs { err.flash or false, err.hint or false } do
    if more then
      for line in M.words(more):gmatch("[^\n]+") do lines[#lines + 1] = "  " .. line end
    end
  end
  return table.concat(lines, "\n")
end

return M

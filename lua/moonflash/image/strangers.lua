-- SPDX-License-Identifier: MIT
-- Files that are not firmware, recognised by their first bytes: archives, pictures, documents,
-- text.
local M = {}

local MOST = 65536 -- bytes that are checked for text

-- Patterns of the first bytes. A file of such a kind is refused for DfuSe boards only: a plain DFU
-- device may accept a .gz or a bit stream.
local kinds = {
  { "a UF2 file", "^UF2\n" },
  { "a zip archive", "^PK[\1\3\5\7][\2\4\6\8]" },
  { "a gzip archive", "^\31\139" },
  { "an xz archive", "^\253" .. "7zXZ%z" },
  { "a zstd archive", "^%(\181/\253" },
  { "a 7z archive", "^7z\188\175\39\28" },
  { "a rar archive", "^Rar!\26\7" },
  { "a bzip2 archive", "^BZh[1-9]1AY&SY" },
  { "a bzip2 archive", "^BZh[1-9]\23rE8P\144" },
  { "a PNG picture", "^\137PNG\r\n\26\n" },
  { "a JPEG picture", "^\255\216\255" },
  { "a GIF picture", "^GIF8[79]a" },
  { "a PDF document", "^%%PDF%-" },
  { "an archive of object files", "^!<arch>\n" },
  { "a tar archive", "^" .. ("."):rep(257) .. "ustar" },
  { "text in UTF-16", "^\255\254" }, { "text in UTF-16", "^\254\255" },
  { "a Windows program", "^MZ" }, -- a Cortex-M program never begins with these bytes
}

-- Kinds of text, by the beginning of the first line that is not blank; any other text is "text".
-- page: a failed download leaves such a file, which no device accepts.
local texts = {
  { "a Git LFS pointer", "^version https://git%-lfs%.github%.com/", page = true },
  { "an HTML page", "^<!doctype%s+html", page = true }, { "an HTML page", "^<html", page = true },
  { "an HTML page", "^<head[%s>]", page = true }, { "an HTML page", "^<body[%s>]", page = true },
  { "an HTML page", "^<!%-%-.-<html", page = true },
  { "an XML document", "^<%?xml" },
  { "JSON", "^[{%[]%s*[%[{%]}\"]" },
  { "a script", "^#!" },
  { "source in C", "^#%s*include%f[%W]" }, { "source in C", "^#%s*define%f[%W]" },
  { "source in C", "^#%s*pragma%f[%W]" }, { "source in C", "^#%s*ifn?def%f[%W]" },
  { "source in C", "^/%*" }, { "source in C", "^//" },
  { "Markdown", "^#+ " },
  { "TI-TXT", "^@%x+[\r\n]+%x%x[ \r\n]" },
  { "Tektronix hex", "^/%x%x%x%x%x%x%x%x" }, { "Tektronix hex", "^%%%x%x[368]%x%x" },
}

-- Whether bytes are text: no control characters but blanks, line ends, form feeds and escapes; and
-- UTF-8, or mostly ASCII (Latin-1).
local function is_text(bytes)
  local sample = bytes:sub(1, MOST)
  if sample:find("[%z\1-\7\14-\26\28-\31\127]") then return false end
  local _, high = sample:gsub("[\128-\255]", "")
  if high * 3 <= #sample then return true end
  local _, bad_at = utf8.len(sample)
  return not bad_at or #bytes > MOST and bad_at > #sample - 4 -- the sample ends within a character
end

---The kind of a file that is neither firmware nor text: "a zip archive"; nil for any other file.
---@param bytes string
---@return string?
function M.binary(bytes)
  for _, kind in ipairs(kinds) do
    if bytes:find(kind[2]) then return kind[1] end
  end
end

---The kind of a file that is not firmware.
---@param bytes string
---@return string? what "a zip archive", "text"; nil for anything that may be a raw binary
---@return boolean? page a failed download leaves such a file
function M.recognise(bytes)
  local binary = M.binary(bytes)
  if binary then return binary end
  if not is_text(bytes) then return nil end
  local head = bytes:sub(1, 4096):gsub("^\xEF\xBB\xBF", ""):gsub("^%s+", "")
  for _, text in ipairs(texts) do
    if head:find(text[2]) or head:lower():find(text[2]) then return text[1], text.page or false end
  end
  return "text", false
end

return M

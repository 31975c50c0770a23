-- SPDX-License-Identifier: MIT
-- The keywords of Lua, as a set.
local keywords = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
  return then true until while]]):gmatch("%l+") do
  keywords[word] = true
end
return keywords

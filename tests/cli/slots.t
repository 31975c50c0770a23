moonflash slots --make, where standard input is a pipe.

$ printf '\n' | moonflash slots --make --out s.lua
Name of the next slot (nothing ends it)?
Nothing was written.
$ printf '1-4\n' | moonflash slots --make --out s.lua
Name of the next slot (nothing ends it)?
A name begins with a letter, and has letters, digits, _ and -.
Name of the next slot (nothing ends it)?
moonflash: no answer to 'Name of the next slot (nothing ends it)?': standard input has ended
[status 71]
$ echo 'return { left = "1-99.1" }' >s.lua; printf 'no\n' | moonflash slots --make --out s.lua; cat s.lua
s.lua exists already. Replace it (yes or no)?
moonflash: s.lua exists already; not overwritten
return { left = "1-99.1" }
$ moonflash slots --out s.lua
moonflash: --out goes with --make
[status 64]

std = "lua54"
max_line_length = 100
exclude_files = { "lua/library" }  -- definitions for editors, made by moonflash
read_globals = { "MOONFLASH_VERSION" }

-- The library stands in the environment of every script that the host runs.
local library = { "dfu", "task", "sys", "sim", "flash", "image", "memory", "optbytes", "trace",
                  "hands", "catch", "fail", "use", "here", "units" }
files["scripts"].read_globals = library
files["src"].read_globals = library
files["tests"].read_globals = library
files["tests/usb/umockdev"].read_globals = { "bed" }

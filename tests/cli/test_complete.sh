#!/bin/sh
# SPDX-License-Identifier: MIT
# Completion of the command line: what `moonflash complete` answers, and what a real bash makes of it.
# The last line is "N passed, N failed, N skipped".
set -u
. "$(dirname "$0")/../terminal.sh"
completions=$(realpath "$(dirname "$0")/../../scripts/completions")
tab=$(printf '\t')
cd "$place" || exit 1
fresh

# answers NAME WANTED WORD...: the words of an answer, and before them what the shell adds.
answers() {
  name=$1 wanted=$2
  shift 2
  says=$("$MOONFLASH" complete "$@" 2>&1 | cut -f 1 | tr '\n' ' ')
  verdict "$name" "$([ "$says" = "$wanted" ] || echo "'$says', not '$wanted'")"
}

# has NAME LINE WORD...: one line of an answer.
has() {
  name=$1 wanted=$2
  shift 2
  "$MOONFLASH" complete "$@" >answer 2>&1
  verdict "$name" "$(grep -Fxq -e "$wanted" answer || head -n 20 answer)"
}

# ---- what is answered ----

cat >own.lua <<'EOT'
io.open("it-was-run", "w"):close()
return { api = 1, summary = "Mine",
  args = { { "file", "the firmware", type = "file" }, { "--fast", "at once", default = false },
           { "--mode", "how", choices = { "a", "b" } } } }
EOT
mkdir -p config/moonflash/recipes data/folder
cp own.lua config/moonflash/recipes/flash-mine.lua
echo 'return { left = "1-4.1" }' >config/moonflash/slots.lua
export XDG_CONFIG_HOME="$place/config"

has "recipes with their summaries" "flash${tab}Write firmware to a board, and verify it" fl
has "your own recipe" "flash-mine${tab}Mine" fl
answers "options of a recipe" "- --trust-erase " flash --trust
answers "moonflash's own options" "- --every-board --every-slot " flash --every
answers "options of your own recipe" "- --fast " flash-mine --f
answers "options of a file" "- --mode " ./own.lua --mo
answers "a value behind =" "- --progress=auto " flash --progress=a
answers "no value of a flag" "- " flash --dry-run=
answers "what a recipe runs" "- --full " rehearse flash --fu
answers "kinds of simulated boards" "- sim:mboot " -d sim:mb
has "slots" "left${tab}1-4.1" -d ''
answers "examples" "- examples/product examples/product_test " recipes --show examples/pro
answers "chapters" "- station " help stati
answers "names of the API" "- board:read board:read_unprotect board:reset board:regions " help board:re
answers "families" "- STM32F405/407 " boards STM32F405
answers "files" "files " flash ''
answers "folders" "folders " station --folder ''
answers "options of dfu-util" "files --dfuse-address " dfu-util --dfu
answers "a recipe that is not there" "- " no-such-recipe --nothing
mkfifo pipe.lua config/moonflash/recipes/pipe.lua
mkdir config/moonflash/recipes/folder.lua
answers "a pipe is not read" "- --json " ./pipe.lua --js
answers "a pipe is no recipe" "files *.lua flash flash-mine " fl
answers "a pipe has no slots" "- " --slots pipe.lua -d le
echo 'return { lamp = "1-4.9" }' >'my slots.lua'
answers "slots of a file with a blank" "- lamp " '--slots=my slots.lua' -d la
cat >odd.lua <<'EOT'
return { api = 1, args = { { "--odd", "a } in \"it\"", default = false }, { "--only", 'x', 1 } } }
EOT
has "braces and quotes in a description" "--odd${tab}a } in \"it\"" ./odd.lua --o
awk 'BEGIN { for (i = 0; i < 40000; i++) printf "{\"a\",\"" }' >long.lua
answers "a text that is no recipe" "- --json " ./long.lua --js
verdict "no recipe was run" "$([ ! -e it-was-run ] || echo "it was")"

# A board, as the operating system lists it.
cat >devices <<'EOT'
P: /devices/pci0000:00/0000:00:14.0/usb1/1-4
E: SUBSYSTEM=usb
E: DEVTYPE=usb_device
A: idVendor=0483\n
A: idProduct=df11\n
A: product=STM32  BOOTLOADER\n
A: serial=3574\n

P: /devices/pci0000:00/0000:00:14.0/usb1/1-4/1-4:1.0
E: SUBSYSTEM=usb
E: DEVTYPE=usb_interface
A: bInterfaceClass=fe\n
A: bInterfaceSubClass=01\n

P: /devices/pci0000:00/0000:00:14.0/usb1/1-5
E: SUBSYSTEM=usb
E: DEVTYPE=usb_device
A: idVendor=046d\n

EOT
if command -v umockdev-run >/dev/null; then
  ASAN_OPTIONS=verify_asan_link_order=0 umockdev-run --device=devices -- \
    "$MOONFLASH" complete -d '' >boards 2>&1
  printf '%s\n' "1-4${tab}0483:df11 STM32  BOOTLOADER" "0483:df11${tab}STM32  BOOTLOADER" \
    "serial=3574${tab}1-4" >wanted
  verdict "boards that are there" "$(sed '/^ERROR: uevent_sender/d; /^-$/d; /^left/d; /^sim:/d' boards | diff wanted -)"
fi

# ---- the shells ----

for shell in bash:moonflash.bash zsh:_moonflash fish:moonflash.fish; do
  if command -v "${shell%%:*}" >/dev/null; then
    verdict "the syntax of ${shell#*:}" "$("${shell%%:*}" -n "$completions/${shell#*:}" 2>&1)"
  else
    echo "skipped: the syntax of ${shell#*:}: ${shell%%:*} is not here"
    skipped=$((${skipped:-0} + 1))
  fi
done

mkdir bin 'z folder'
echo x >'z folder/blank.bin'
ln -s "$MOONFLASH" bin/moonflash
echo x >firmware.bin
enter "exec bash --norc"
enter "PS1='ba'sh': ' PATH=$place/bin:\$PATH; . $completions/moonflash.bash; clear"
seen '^bash:'

# completes NAME TYPED LINE: what is typed, with Tabs, becomes that line.
completes() {
  text "$2"
  seen "^bash: $3\$"
  verdict "$1" "$([ $? -eq 0 ] || echo "it is no '$3'")"
  key C-c
  enter clear
  last_line 'bash:'
}
completes "a recipe, a file and an option" "moonflash fla${tab}${tab}" "moonflash flash"
completes "a file" "moonflash flash fir${tab}--lea${tab}" "moonflash flash firmware.bin --leave"
completes "what has a colon" "moonflash -d sim:f40${tab}inf${tab}" "moonflash -d sim:f407 info"
completes "what has = and a colon" "moonflash --device=sim:mb${tab}" "moonflash --device=sim:mboot"
completes "a folder" "moonflash station --folder da${tab}fo${tab}" \
  "moonflash station --folder data/folder/"
completes "a file behind =" "moonflash flash --report=fir${tab}" \
  "moonflash flash --report=firmware.bin"
completes "a quoted word" "moonflash -d \"sim:f40${tab}inf${tab}" 'moonflash -d "sim:f407" info'
completes "slots of a quoted file" "moonflash --slots 'my slots.lua' -d la${tab}" \
  "moonflash --slots 'my slots.lua' -d lamp"
completes "a file in a folder with a blank" "moonflash flash z${tab}b${tab}" \
  'moonflash flash z\\\? folder/blank.bin'
completes "in the middle" "moonflash  recipes  --show ex${tab}prod${tab}" \
  "moonflash  recipes  --show examples/product"

echo "$passed passed, $failed failed, ${skipped:-0} skipped"
[ "$failed" -eq 0 ]

#!/bin/sh
# SPDX-License-Identifier: MIT
# Several boards at a real terminal: what stands on its screen when a run has ended, and while it
# lasts.
# The last line is "N passed, N failed, N skipped".
set -u
. "$(dirname "$0")/../terminal.sh"

# leaves NAME WORDS...: a run with these words leaves what is on standard input, seconds as "~".
leaves() {
  name=$1
  shift
  cat >"$place/wanted"
  fresh
  enter "clear; '$MOONFLASH' $*; echo status \$?"
  seen '^status' || verdict "$name" "it does not end"
  on_screen | sed '1,/^shell: clear/d' >"$place/all" # where the terminal keeps what was cleared
  [ -s "$place/all" ] || on_screen >"$place/all"
  sed '/^shell:/d; /^$/d; s/[0-9.]* s  /~ s  /; s/[0-9.]* s$/~ s/' "$place/all" >"$place/is"
  diff "$place/wanted" "$place/is" >/dev/null
  verdict "$name" "$([ $? -eq 0 ] || diff "$place/wanted" "$place/is")"
}

three="--virtual-time -d sim:f407 -d sim:f407#2 -d sim:f407#3"

cat >"$place/finish.lua" <<'EOT'
return { api = 1,
  setup = function() return setmetatable({}, { __close = function() error("stuck", 0) end }) end,
  run = function(board) if board.path:find("2") then fail("bad solder") end return "seen" end,
  finish = function() print("the finish") end }
EOT
leaves "what comes after the rows goes below them" "$three finish.lua" <<'EOT'
sim:f407: seen
moonflash: sim:f407#2: bad solder
  The flash is untouched.
sim:f407#3: seen
 sim:f407    PASS     ~ s
 sim:f407#2  FAIL     bad solder
 sim:f407#3  PASS     ~ s
2 boards passed; 1 of 3 did not pass: sim:f407#2
the finish
moonflash: at the end: stuck
status 1
EOT
leaves "what run returns is standard output's" "$three -e 'return { api = 1,
  run = function(board) return board.path end }' >out; cat out" <<'EOT'
 sim:f407    PASS     ~ s
 sim:f407#2  PASS     ~ s
 sim:f407#3  PASS     ~ s
3 boards passed.
sim:f407: sim:f407
sim:f407#2: sim:f407#2
sim:f407#3: sim:f407#3
status 0
EOT

# What a script writes does not control the terminal, by whichever way it is written.
cat >"$place/rude.lua" <<'EOT'
io.write("a\27[31mb\n")
io.stdout:write("c\u{202E}d\n")
io.stderr:write("e\u{200B}f\xFFg\n")
print("h\rj", 1)
io.output():write("tab\tand ", 2, "\n")
EOT
leaves "a script's output is cleaned" "rude.lua" <<'EOT'
a?[31mb
c?d
e?f?g
h?j     1
tab     and 2
status 0
EOT

cat >"$place/steps.lua" <<'EOT'
return { api = 1, run = function(board)
  board:step("one") task.sleep(0.01) board:step("two") task.sleep(60) end }
EOT
fresh
enter "'$MOONFLASH' -d sim:f407 -d sim:f407#2 -d sim:f407#3 steps.lua"
shows "the rows show the step that lasts" '^ sim:f407.*  two$' 3
key C-c
seen 'did not pass'

cat >"$place/ask.lua" <<'EOT'
return { api = 1, run = function(board)
  board:step("scan") board:note("code", sys.ask("Barcode of " .. board.path .. "?")) end }
EOT
fresh
enter "'$MOONFLASH' -d sim:f407 -d sim:f407#2 -d sim:f407#3 ask.lua"
for board in sim:f407 sim:f407#2 sim:f407#3; do
  seen "Barcode of $board? *$"
  text "A17"
  key Enter
done
shows "questions are answered" '3 boards passed'
shows "what was asked stays above the rows" '^sim:f407.*Barcode of .* A17$' 3
count=$(on_screen | grep -c '^ sim:f407')
verdict "and no copy of the rows" "$([ "$count" -eq 3 ] || echo "$count rows")"
fresh
enter "'$MOONFLASH' -d sim:f407 -d sim:f407#2 -d sim:f407#3 -e 'return { api = 1, run = function(b)
  task.sleep(1) sys.ask(b.path .. \"?\") end }'"
seen '^ sim:f407#3'
text 'A17'
key Enter
seen '^sim:f407.*? *$'
text 'B18'
key Enter
text 'C19'
key Enter
shows "an answer may come before the question" '3 boards passed'
shows "and nothing that stood above the rows is lost" '^shell: .*moonflash'


# A person reads how to get a board; a program reads one line (boards.t).
fresh
enter "'$MOONFLASH' list"
shows "a hint where there is no board" '^  STM32: connect BOOT0 to VDD'

# The operator scans the slot where he stands, and then its unit.
cat >"$place/slots.lua" <<'EOT'
return { one = "sim:f407#1", two = "sim:f407#2", three = "sim:f407#3" }
EOT
cat >"$place/scan.lua" <<'EOT'
return { api = 1, run = function(board)
  task.sleep(0.3)
  local code = sys.ask { text = "Barcode?", tries = 2, check = function(line)
    return line:find("^W%d+$"), "W and digits" end }
  board:note("barcode", code) end }
EOT
fresh
enter "'$MOONFLASH' --slots slots.lua --every-slot scan.lua"
seen '^one: Barcode? *$'
text 'two'
key Enter
shows "a slot's name brings its question forward" '^two: Barcode? *$'
text 'X7'
key Enter
shows "a reason is read" "^two: 'X7' is not accepted: W and digits"
seen '^two: Barcode? *$'
text 'W2'
key Enter
shows "what was scanned stands in the row" '^ two *W2 *PASS'
verdict "a slot's name is no scan of another one" "$(on_screen | grep '^ one *two')"
last_line 'one: Barcode?'
verdict "then come the others" "$(on_screen | grep -q '^one: Barcode? *$' || echo "no question")"
text 'X1'
key Enter
seen "^one: 'X1' is not accepted: W and digits"
last_line 'one: Barcode?'
text 'X2'
key Enter
shows "tries are counted" "^ one .*FAIL .*'X2' is not accepted: W and digits (Barcode?, 2 of 2 tries)"
last_line 'three: Barcode?'
text 'W3'
key Enter
shows "and so are boards" '^2 boards passed; 1 of 3 did not pass: one'

cat >"$place/slow.lua" <<'EOT'
return { api = 1, run = function(board) board:erase_page(0x08000000)
  board:step("soak") task.sleep(600) end }
EOT
fresh
enter "clear; '$MOONFLASH' -d sim:f407 -d sim:f407#2 -d sim:f407#3,fault=unplug@3 slow.lua"
seen '^ sim:f407 *soak' && seen '^ sim:f407#2 *soak' || verdict "interrupted together" "no soak"
key C-c
seen '^1 board passed\|^0 boards passed' || verdict "interrupted together" "it does not end"
verdict "boards that are interrupted together are told together" \
  "$([ "$(on_screen | grep -c '^moonflash: interrupted: 2 boards$')" = 1 ] || on_screen)"
verdict "with what is true of both, once" \
  "$([ "$(on_screen | grep -c 'erased but not read back')" = 1 ] || on_screen)"

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]

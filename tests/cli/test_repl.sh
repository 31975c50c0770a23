#!/bin/sh
# SPDX-License-Identifier: MIT
# The prompt at a real terminal: tmux types, and what stands on its screen is compared. Nothing here
# sleeps for a time and hopes: each step waits, with a deadline, for what it needs to see.
# The last line is "N passed, N failed, N skipped".
set -u
. "$(dirname "$0")/../terminal.sh"

# lacks NAME PATTERN: this is not there.
lacks() {
  if on_screen | grep -q -e "$2"; then verdict "$1" "'$2' is there"; else verdict "$1" ''; fi
}

# gives LINE PATTERN: the line, typed at the prompt, shows this, and the prompt returns.
gives() {
  ready || verdict "$1" "no prompt to type it at"
  tmux -S "$socket" clear-history -t "s$session"
  enter "$1"
  if ! seen "$2"; then
    verdict "$1" "'$2' is not on the screen"
  elif ! ready; then
    verdict "$1" "the prompt does not return"
  else
    verdict "$1" ''
  fi
}

# repl [OPTION...]: a session, up to its first prompt.
repl() {
  fresh
  enter "'$MOONFLASH' $* repl"
  ready || verdict "repl $*" "no prompt comes"
}

# ends NAME STATUS: the shell is there again, and so is its terminal.
ends() {
  last_line shell: || verdict "$1" "it does not end"
  enter "echo status \$?; stty -a | tr ' ' '\\n' | grep -x -e '-*icanon' -e '-*echo'"
  if ! seen "status $2\$"; then
    verdict "$1" "the status is not $2"
  elif ! seen '^icanon$' || ! seen '^echo$'; then
    verdict "$1" "the terminal is not as it was"
  else
    verdict "$1" ''
  fi
}

# ---- how it starts ----

repl -d sim:f407
shows "it says what is there" 'board is STM32  BOOTLOADER at sim:f407, found in dfuERROR'
gives 'board:get_state()' '^"dfuERROR"'
gives 'status()' 'status = "errFIRMWARE"'
key C-d
ends "Ctrl-D ends it" 0

repl
shows "it starts without a board" 'There is no board'
gives 'dump(0x08000000)' 'there is no board: board = dfu.open() opens one'
gives 'board:read(0, 4)' 'there is no board: board = dfu.open() opens one'
gives 'board = dfu.open("sim:f407")' '^>'
gives 'board.is_open' '^true'
gives 'board:read(0x08004000, 16)' '^08004000  ff ff'
repl -d sim:f407 -d sim:l452
shows "it starts with several" 'board is .*sim:f407'
gives 'boards[2]:read(0x08000800, 16)' '^08000800  ff ff'
gives 'board = dfu.open("sim:l452")' '^>'
gives 'board:read(0x08000800, 16)' '^08000800  ff ff'
repl -d 1-99.99
shows "it starts where the board is not" 'moonflash 0'

# ---- words of other prompts ----

repl -d sim:f407
gives 'help' 'help "flash"'
gives '?' 'help "flash"'
gives 'help dump' 'dump'
gives 'help board:read' 'board:read'
gives 'dump()' 'dump wants an address: dump(0x08000000)'
gives 'use' 'function'
gives 'unprotect()' 'There is no read protection to remove'
gives 'exit = 5' '^>'
gives 'exit' '^5$'
enter quit
ends "quit ends it" 0

# ---- lines ----

repl -d sim:f407
gives '1 + 1' '^2$'
gives '"text", nil' '^"text"$'
gives '_' '^"text"$'
gives 'local x, y <const> = 20, 1' '^>'
gives 'x + y' '^21$'
gives 'function inc() x = x + 1 end' '^>'
gives 'inc()' '^>'
gives 'x' '^21$'
gives 'y = 2' "attempt to assign to const variable 'y'"
gives 'nil' '^nil$'
gives '_' '^nil$'
gives 'adress = 1' '^>'
gives 'adres' "'adres' is not defined (did you mean 'adress'?)"
gives 'x = = 1' 'stdin:1: unexpected symbol'
gives '{ 1, { two = 2 } }' '^{ 1, { two = 2 } }$'
gives '0x08000010' '^0x08000010$'
gives '134217728 - 1' '^134217727$'
gives 'board' '0 Internal Flash  0x08000000\.\.0x0800FFFF'
gives 'board:read(0x08000010, 16)' '^08000010  ff ff'
gives 'board:read(0x08004000, 16)' '^08004000  ff ff'
gives '"\0\1\2"' '^00000000  00 01 02'
gives '"\255\255\255\255\255\255\255\255\255\255\255\255\255\255\255\255"' '^00000000  ff ff'
gives 'board.alts[1].layout' '7 x 128 KB'
enter 'for i = 1, 3 do'
shows "a statement goes on" '^>>$'
enter 'print("line " .. i)'
enter 'end'
shows "until it is complete" '^line 3$'
enter 'for i = 1, 3 do'
key C-c
gives '"after Ctrl-C"' '^"after Ctrl-C"$'
enter 'for i = 1, 3 do'
key C-d
gives '"after Ctrl-D"' '^"after Ctrl-D"$'
gives 'board:erase_page(0x20000000)' 'Internal Flash is 0x08000000'
gives 'error("oops")' 'stdin:1: oops'
gives 'traceback()' 'stack traceback'
gives 'error({ 1, { 2 } })' '^{ 1, { 2 } }$'
gives '{ segments = { { count = 1 } } }' '^{ segments = { { count = 1 } } }$'
gives 'error(setmetatable({}, { __tostring = function() error("x") end }))' '__tostring fails'
gives 'local t = {} for i = 1, 300 do t[i] = i end' '^>'
gives 'table.concat(t, "\n")' '^\.\.\. and 100 more lines$'
gives 'dfu.list()' '^sim:f407  0483:df11  315A28A0B956  STM32  BOOTLOADER, 1 MB flash'
gives 'local s = ("long "):rep(40000)' '^>'
gives 's' 'long "$'
gives 'help(board.erase_page)' 'Erases the sector that holds the address'
gives 'help "flash"' 'flash.verify(board, image, options'
gives 'help()' 'erase_page'
gives 'board.timeout = 2' '^>'
gives 'board.timeout' '^2\.0$'
gives 'board.early_poll = false' '^>'
gives 'board.early_poll' '^false$'
gives 'do io.write("half a line") end' '^half a line$'
ready
tmux -S "$socket" send-keys -t "s$session" -R
tmux -S "$socket" clear-history -t "s$session"
enter 'do io.stderr:write("to standard error") end'
ready
enter 'io.stderr:write("x") and nil'
ready
enter 'answer = sys.ask("name?")'
seen '^name?'
enter 'moon'
ready
gives 'answer' '^"moon"$'
if [ "$(on_screen | sed -n '/^> answer = sys/,/^> answer$/p' | grep -c '^$')" -ne 0 ]; then
  verdict "an answered question" "leaves an empty line"
else
  verdict "an answered question leaves no empty line" ''
fi
if [ "$(on_screen | sed -n '/do io.stderr/,/^> answer = sys/p' | grep -c '^$')" -ne 0 ]; then
  verdict "what is written to standard error" "leaves an empty line"
else
  verdict "what is written to standard error leaves no empty line" ''
fi

# ---- editing ----

text 'prin("x")'
for _ in 1 2 3 4 5; do key Left; done
text 't'
key Enter
shows "the cursor moves" '^x$'
text 'nonsense'
key Left Left Left C-c
shows "Ctrl-C stands behind the line" '^> nonsense^C$'
gives '"a dropped line"' '^"a dropped line"$'
ready
text '"grün"'
key BSpace BSpace BSpace
text 'n"'
key Enter
shows "characters are whole" '^"grn"$'
ready
text '1 + 41x'
key Left C-d Enter
shows "Ctrl-D deletes within a line" '^42$'
ready
text 'board:erase_p'
key Tab
shows "Tab completes methods" '^> board:erase_page'
key C-u
text 'board:get'
key Tab
shows "what they share first" '^> board:get_st'
key Tab
shows "and lists the rest" 'get_state  *get_status'
key C-u
text 'board:select("Opt'
key Tab
shows "Tab completes alternate settings" 'select("Option Bytes'
key C-u
: >"$place/some-firmware.bin"
text 'image.load("some-'
key Tab
shows "Tab completes files" 'load("some-firmware.bin'
key C-u Up
shows "Up brings back the line before" '^> 1 + 41$'
key C-a C-k
text '"gr'
key C-r
shows "Ctrl-R finds what is typed" "^(search '\"gr.*') \"gr.*n"
key C-g
shows "Ctrl-G gives it back" '^> "gr$'
key C-a C-k C-r
text '1 +'
shows "Ctrl-R looks while one types" "^(search '1 +') 1 + 41"
key BSpace BSpace BSpace
text 'no such statement'
shows "and says that there is none" "^(no more 'no such statement')"
key C-g
ready
key C-r
text '+ 4'
seen "^(search '+ 4') 1 + 41"
before=$(on_screen | grep -c '^42$')
key Enter
shows "Enter runs what was found" '^42$' $((before + 1))
ready
enter 'for i = 1, 2 do'
enter 'print("again " .. i)'
enter 'end'
seen '^again 2$'
ready
key Up
shows "Up brings back all of a statement" '^print("again'
key Enter
shows "which runs again" '^again 2$' 2
key C-d

# ---- history ----

repl -d sim:f407
key Up
shows "history is kept between sessions" '^end$'
key Up
shows "and older lines too" '^> 1 + 41$'
key C-c
ready
key C-d
ends "Ctrl-C and Ctrl-D" 0

# ---- which board ----

repl -d sim:f407
gives 'local board = dfu.open("sim:f407#2")' '^>'
gives 'fill(0x08000000, 4, 0x11)' 'verify'
gives 'dump(0x08000000, 4)' '^08000000  11 11 11 11'
gives 'board:close()' '^>'
gives 'status()' 'is not open'
gives 'local board = 5' '^>'
gives 'status()' 'there is no board'
gives 'a, b = dfu.open("sim:f407#3"), dfu.open("sim:f407#4")' '^>'
gives 'for _, x in ipairs { a, b } do task.spawn(x.fill, x, 0x08000000, 4, 0x11) end' '^>'
shows "bars say whose they are" '^  sim:f407#3  verify'
shows "those of all boards" '^  sim:f407#4  verify'

# ---- keys that mean nothing ----

repl -d sim:f407
text 'return #"'
key PPage NPage IC F1 F5 F12 C-Space C-DC S-F3 C-Up
text '"'
key Enter
shows "keys that mean nothing leave nothing" '^0$'
ready
enter 'do print("at work") task.sleep(0.3) end'
seen '^at work$'
key C-d
gives '1 + 1' '^2$'
key C-d
ends "Ctrl-D while a line runs ends nothing" 0

# ---- cancelling ----

repl -d sim:f407,times=max
enter 'trace(true)'
enter 'board:erase_page(0x08020000)'
seen 'DNLOAD 0 erase 0x08020000' # the board has the command
key C-c
shows "Ctrl-C cancels an erase" 'interrupted while erasing 0x08020000'
shows "and tells the state of the flash" '0x08020000\.\.0x0803FFFF is in doubt'
ready || verdict "after an erase was cancelled" "no prompt"
gives 'board:get_state()' '^"dfuIDLE"'
enter 'board:erase_page(0x08020000)'
key C-c
seen 'interrupted while erasing' 2
ready
gives 'board:get_state()' '^"dfuIDLE"'
enter 'while true do end'
key C-c
key C-c
ready || verdict "a loop that never waits" "is not cancelled"
gives '"still here"' '^"still here"$'
enter 'task.sleep(1000)'
key C-c
gives '"and here"' '^"and here"$'
enter 'setmetatable({}, { __tostring = function() while true do end end })'
key C-c
gives '"after a value that is shown for ever"' '^"after a value'
enter 'error(setmetatable({}, { __tostring = function() while true do end end }))'
key C-c
gives '"after such an error"' '^"after such an error"$'
gives 'task.spawn(error, setmetatable({}, { __tostring = error })) and nil' 'a task failed: <table whose'
gives 'task.spawn(error, "the watch goes on") and nil' 'a task failed: the watch goes on'
ready
tmux -S "$socket" clear-history -t "s$session"
enter 'board:erase_page(0x08020000)'
at_work
key C-c
seen "Ctrl-C: don't wait"
key C-c
ready || verdict "a second Ctrl-C" "no prompt"
lacks "a second Ctrl-C ends the line that it stands on" '^^C>'
gives 'local job = task.spawn(function() task.sleep(1) print("from behind") end)' '^>'
text 'x = "half typed'
shows "a task prints above the line" '^from behind$'
shows "which is still there" '^> x = "half typed'
enter '"'
gives 'x' '^"half typed"$'
gives 'job = task.spawn(function() task.sleep(0.2) error("on its own") end)' 'a task failed: .*on its own'
gives 'job:join()' 'on its own'
gives 'task.spawn(function() task.sleep(0.2) print(("y"):rep(40000) .. ".") end) and nil' 'yyy\.$'
long=$(printf 'x%.0s' $(seq 120))
ready
enter "task.spawn(function() task.sleep(0.5) print('above two rows') end) and nil"
ready
text "local $long = 12"
shows "a task prints above a line of two rows" '^above two rows$'
enter '3'
gives "$long" '^123$'

# ---- unplugging ----

ready
gives 'plug = sim.new("f407")' '^>'
gives 'board = dfu.open(plug.path)' '^>'
gives 'board.found_state' '^"dfuERROR"'
enter 'task.sleep(0.5) plug:unplug()'
shows "unplugging is told of" 'sim:f407#1 went away$'
gives 'board:read(0x08000000, 1)' 'the board went away while reading\|is not open'
enter 'plug:plug()'
shows "and replugging" 'sim:f407#1 is back: board:open() opens it'
gives 'board:open().is_open' '^true$'
gives 'fill(0x08000010, 16, 0x55)' 'verify'
gives 'dump(0x08000010, 16)' '^08000010  55 55'

# ---- signals and terminals ----

key C-z
shows "Ctrl-Z stops it" 'Stopped'
enter 'stty -a | tr " " "\n" | grep -x -e "-*icanon"'
shows "with the terminal in order" '^icanon$'
enter 'fg'
ready
gives '"back again"' '^"back again"$'
text '"before the resize'
tmux -S "$socket" resize-window -t "s$session" -x 60 -y 30
enter '"'
shows "another size of the terminal" '^"before the resize"$'

# The process that this terminal's shell has started; other tests run prompts, too.
its_pid() { pgrep -P "$(tmux -S "$socket" display-message -p -t "s$session" '#{pane_pid}')"; }
for signal in TERM HUP; do
  repl -d sim:f407
  kill "-$signal" "$(its_pid)"
  shows "SIG$signal ends it" 'moonflash: interrupted'
  ends "and restores the terminal" 130
done
repl -d sim:f407
enter 'function slow() print("closing") task.sleep(5) end'
gives 'task.spawn(function() local _ <close> = setmetatable({}, { __close = slow }) task.sleep(99) end)' 'Task'
text '"typed'
pid=$(its_pid)
kill -TERM "$pid"
shows "a signal lets what is open be closed" '^closing$'
kill -HUP "$pid"
seen 'Hangup'
ends "two signals kill it, and the terminal is restored" 129
repl -d sim:f407
key C-\\
seen Quit
ends "Ctrl-\\ kills it, and the terminal is restored" 131
repl -d sim:f407
enter 'os.exit(7)'
ends "os.exit" 7
repl -d sim:f407
gives 'local _ <close> = setmetatable({}, { __close = function() print("closed") end })' '^>'
gives 'task.spawn(function() task.sleep(0.5) print("the last task") end) and nil' '^nil$'
key C-d
shows "what is declared <close> is closed at the end" '^closed$'
shows "tasks are waited for" 'Waiting for 1 task; Ctrl-C ends it'
shows "to their end" '^the last task$'
ends "and the status is 0" 0
verdict "and closing comes last" \
  "$(on_screen | grep -x -e closed -e 'the last task' | tr '\n' , | grep -v '^the last task,closed,$')"
repl -d sim:f407,times=max
gives 'job = task.spawn(board.erase_page, board, 0x08020000)' '^>'
key C-d
seen 'Waiting for 1 task'
ends "Ctrl-D lets an erase come to its end" 0
lacks "and says nothing else" 'in doubt\|moonflash: '
repl -d sim:f407,times=max
gives 'job = task.spawn(board.erase_page, board, 0x08020000)' '^>'
key C-d
seen 'Waiting for 1 task'
key C-c
shows "Ctrl-C cuts it short" 'moonflash: .*interrupted while erasing'
ends "and the status tells" 130

# ---- not a terminal; -i ----

# piped NAME STATUS PATTERN [OPTION...] <SCRIPT
piped() {
  name=$1 wanted=$2 pattern=$3
  shift 3
  "$MOONFLASH" "$@" >"$place/out" 2>&1
  status=$?
  if [ $status -ne "$wanted" ]; then
    verdict "$name" "status $status: $(cat "$place/out")"
  elif ! grep -q -e "$pattern" "$place/out"; then
    verdict "$name" "it says: $(cat "$place/out")"
  else
    verdict "$name" ''
  fi
}
fresh
echo 'print(board:get_state())' | piped "a script from standard input" 0 '^dfuERROR$' -d sim:f407 repl
echo 'local x = 1
print(board, x)' | piped "without a board" 0 '^nil' repl
echo 'error("oops")' | piped "which fails" 1 'stdin:1: oops' repl
printf 'x = = 1' | piped "which is no Lua" 1 'stdin:1: unexpected' repl
echo 'task.spawn(function() board:erase_page(0x08020000) print("erased") end)' |
  piped "which leaves a task behind" 0 '^erased$' -d sim:f407 repl
fresh
enter "'$MOONFLASH' -d sim:f407 repl | tee log"
shows "a terminal to type at, and none to show it on" 'standard output is not a terminal'
enter 'print(board:get_state())'
key C-d
shows "is read as a script" '^dfuERROR$'

cat >"$place/script.lua" <<'EOF'
answer = 42
print("the script ran")
EOF
fresh
enter "'$MOONFLASH' -d sim:f407 -i ./script.lua"
seen 'the script ran'
gives 'answer' '^42$'
key C-d
ends "-i stays after a script" 0
echo 'answer = 43 error("it fails")' >"$place/script.lua"
fresh
enter "'$MOONFLASH' -i ./script.lua"
shows "-i says how it failed" 'script.lua:1: it fails'
gives 'answer' '^43$'
gives 'traceback()' 'script.lua:1: in main chunk'
key C-d
ends "and stays" 0
echo 'x = = 1' >"$place/script.lua"
fresh
enter "'$MOONFLASH' -i ./script.lua"
shows "-i says why a script is no Lua" 'script.lua:1: unexpected symbol'
gives 'traceback()' 'script.lua:1: unexpected symbol'
key C-d
ends "and stays" 0
echo 'return { api = 2 }' >"$place/script.lua"
fresh
enter "'$MOONFLASH' -i ./script.lua"
shows "-i says why it is no recipe" 'it is for api 2'
gives '1 + 1' '^2$'
key C-d
ends "and stays" 0
fresh
enter "'$MOONFLASH' -i ./missing.lua"
shows "-i needs a script that is there" 'missing.lua: '
ends "and does not stay" 66

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]

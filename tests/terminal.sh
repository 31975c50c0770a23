# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# A real terminal for tests, which read this file: tmux types, and says what stands on its screen.
MOONFLASH=$(realpath "${MOONFLASH:-$(dirname "$0")/../../build/moonflash}")
PATIENCE=500 # looks at the screen, a fiftieth of a second apart or more
if ! command -v tmux >/dev/null; then
  echo "skipped: tmux is not here: 'make deps-test' installs it"
  echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
place=$(mktemp -d)
socket=$place/tmux
passed=0 failed=0
trap 'tmux -S "$socket" kill-server 2>/dev/null; rm -rf "$place"' EXIT
export XDG_STATE_HOME="$place/state" LC_ALL=C.UTF-8
unset MOONFLASH_DEVICE TMUX
ulimit -c 0

session=0
on_screen() { tmux -S "$socket" capture-pane -p -J -S -500 -t "s$session" | sed 's/ *$//'; }
key() { tmux -S "$socket" send-keys -t "s$session" "$@"; }
text() { tmux -S "$socket" send-keys -t "s$session" -l -- "$1"; }
enter() { text "$1" && key Enter; }

# fresh: another shell in an empty terminal, in the folder of this test.
fresh() {
  session=$((session + 1))
  tmux -S "$socket" -f /dev/null new-session -d -s "s$session" -x 100 -y 40 \
    "cd '$place' && PS1='shell: ' TERM=xterm exec sh" && seen '^shell:' ||
    { echo "no shell in tmux"; exit 1; }
  [ $session -eq 1 ] || tmux -S "$socket" kill-session -t "s$((session - 1))"
}

# seen PATTERN [TIMES]: waits until so many lines (1) match; false after the deadline.
seen() {
  i=0
  until [ "$(on_screen | grep -c -e "$1")" -ge "${2:-1}" ]; do
    i=$((i + 1))
    [ $i -lt $PATIENCE ] || return 1
    sleep 0.02
  done
}

# last_line TEXT: it becomes the last thing on the screen.
last_line() {
  i=0
  until [ "$(on_screen | sed '/^$/d' | tail -n 1)" = "$1" ]; do
    i=$((i + 1))
    [ $i -lt $PATIENCE ] || return 1
    sleep 0.02
  done
}

# ready: the cursor stands behind an empty prompt.
ready() { last_line '>'; }

# at_work: Enter has been taken: the cursor is at the left edge, which no prompt leaves it at.
at_work() {
  i=0
  until [ "$(tmux -S "$socket" display-message -p -t "s$session" '#{cursor_x}')" = 0 ]; do
    i=$((i + 1))
    [ $i -lt $PATIENCE ] || return 1
    sleep 0.02
  done
}

# verdict NAME WHAT-IS-WRONG
verdict() {
  if on_screen | grep -q -e Sanitizer -e 'runtime error'; then set -- "$1" "the sanitizer complains"; fi
  if [ -z "$2" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'failed: %s: %s\n' "$1" "$2"
    on_screen | sed '/^$/d; s/^/  | /'
  fi
}

# shows NAME PATTERN [TIMES]: this comes to the screen.
shows() {
  if seen "$2" "${3:-1}"; then verdict "$1" ''; else verdict "$1" "'$2' is not on the screen"; fi
}

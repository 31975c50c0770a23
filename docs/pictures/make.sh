#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the README's pictures from real runs: run.png, of six boards on a terminal, and report.png, of
# a report. `make pictures` runs it; it takes tmux, aha and Chromium (Debian: tmux aha chromium).
set -eu
cd "$(dirname "$0")/../.."
for program in tmux aha chromium; do
  command -v $program >/dev/null || { echo "$program is missing" >&2; exit 1; }
done
place=$(mktemp -d)
trap 'tmux -S "$place/tmux" kill-server 2>/dev/null; rm -rf "$place"' EXIT
ln -s "$PWD/build/moonflash" "$place/moonflash"
cp build/ch.bin "$place/firmware.bin"

# shoot FILE WIDTH HEIGHT: what Chromium shows of FILE.html, as docs/pictures/FILE.png.
shoot() {
  chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --force-device-scale-factor=1 \
    --window-size="$2,$3" --screenshot="$place/$1.png" "file://$place/$1.html" >/dev/null 2>&1
  cp "$place/$1.png" "docs/pictures/$1.png"
}

# ---- six boards, one of which is unplugged, while they are written ----

cat >"$place/slots.lua" <<'EOF'
return { a1 = "sim:f407#1", a2 = "sim:f407#2", a3 = "sim:f407#3",
         b1 = "sim:g474#1", b2 = "sim:f407#4,fault=unplug@90", b3 = "sim:g474#2" }
EOF
tmux -S "$place/tmux" -f /dev/null new-session -d -x 100 -y 14 \
  "cd $place && PATH=.:\$PATH PS1='\$ ' TERM=xterm-256color exec sh"
type_in() { tmux -S "$place/tmux" send-keys -l "$1" && tmux -S "$place/tmux" send-keys Enter; }
type_in "clear"
type_in "moonflash --slots slots.lua --every-slot flash firmware.bin --leave"
until tmux -S "$place/tmux" capture-pane -p | grep -q 'a1 .* PASS'; do sleep 0.05; done
sleep 0.2
{
  echo '<style>body { margin: 0; padding: 14px 18px; background: #16181d }
    pre { margin: 0; color: #d8dbe0; font: 15px/1.35 "DejaVu Sans Mono", monospace }</style><pre>'
  tmux -S "$place/tmux" capture-pane -e -p | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' | aha --black --no-header
  echo '</pre>'
} >"$place/run.html"
shoot run 960 250

# ---- the report of a recipe with steps, a measurement and a flash ----

cat >"$place/product.lua" <<'EOF'
return { api = 1, summary = "Flash a product, and measure its supply",
  args = { { "file", "the firmware", type = "file" } },
  setup = function(opt) return image.load(opt.file) end,
  run = function(board, opt, firmware)
    board:step("measure", 10)
    board:note("supply", 3.31, { min = 3.2, max = 3.4, unit = "V" })
    board:step("flash", 60)
    flash.write(board, firmware, opt)
    board:step("start", 10)
    board:leave(firmware.start)
  end }
EOF
(
  cd "$place"
  ./moonflash -q --virtual-time -d sim:f407,flash=board.img flash firmware.bin >/dev/null
  { cat firmware.bin; printf '%9000s' v2; } >new.bin
  ./moonflash -q --virtual-time -d sim:f407,flash=board.img --report report.html product.lua new.bin >/dev/null
)
shoot report 900 1660

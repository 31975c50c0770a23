#!/bin/sh
# SPDX-License-Identifier: MIT
# Reports, from the command line: when one is written, and when it is refused; and in a real
# browser, Debian's chromium, that looks at what it has drawn: on a wide and on a narrow screen,
# light and dark, without a word on its console.
# The last line is "N passed, N failed, N skipped".
set -u
here=$(cd "$(dirname "$0")" && pwd)
moonflash=$(realpath "${MOONFLASH:-$here/../../build/moonflash}")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" || exit 1
. "$here/../verdict.sh"

# runs NAME STATUS PATTERN OPTION...: PATTERN must be in report.html, where it is not empty.
runs() {
  name=$1 wanted=$2 pattern=$3
  shift 3
  "$moonflash" --virtual-time --report report.html "$@" >out 2>&1 </dev/null
  status=$?
  why=
  [ "$status" -eq "$wanted" ] || why="status $status, not $wanted: $(cat out)"
  [ -z "$pattern" ] || grep -q -e "$pattern" report.html || why="$why; it does not say '$pattern'"
  verdict "$name" "$why"
}

# ---- when it is written ----

head -c 200000 /dev/zero | tr '\0' 'o' >old.bin
{ head -c 20000 old.bin; echo new; tail -c +20005 old.bin; } >new.bin

"$moonflash" -q --virtual-time -d sim:f407,flash=board.img flash old.bin@0x08000000
runs "a run that passes" 0 '✓ Passed' -d sim:f407,flash=board.img flash new.bin@0x08000000
cp report.html passed.html
runs "an older report is replaced" 0 'all boards that match\|list' list
runs "a run that fails" 74 'went away' -d sim:f407,fault=unplug@70 flash new.bin@0x08000000
cp report.html failed.html
runs "no such file" 66 'nix.bin: No such file' -d sim:f407 flash nix.bin
runs "the wrong board" 69 'no board in DFU mode' -d sim:dfu11 discovery new.bin@0x08000000
runs "a plain script" 0 'A plain script' -e 'print(1)'
runs "a plain script that fails" 1 'oh &lt;no&gt;' -e 'error("oh <no>", 0)'
boards=
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do boards="$boards -d sim:f407#$i"; done
# shellcheck disable=SC2086
runs "sixteen boards" 74 '1 of 16 boards failed' $boards -d sim:l452 -d 'sim:g474,fault=unplug@60' \
  flash new.bin@0x08000000
cp report.html sixteen.html

cat >measure.lua <<'EOF'
return { api = 1, run = function(board)
  board:step("a" .. ("wordthatneverends"):rep(9))
  board:note("barcode", ("A17"):rep(200))
  board:step("measure", 10)
  board:note("supply", board.slot == "left" and 2.9 or 3.3, { min = 3.2, max = 3.4, unit = "V" })
end }
EOF
echo 'return { left = "sim:f407#1", right = "sim:f407#2" }' >slots.lua
runs "steps, measurements and slots" 1 '2.9 V.*outside' --slots slots.lua --every-slot measure.lua
cp report.html measured.html

echo firmware >report.html
cp board.img before.img
runs "it never replaces another file" 73 firmware -d sim:f407,flash=board.img flash old.bin@0x08000000
verdict "and no board is touched then" "$(cmp board.img before.img 2>&1)"
rm report.html
mkdir report.html
runs "a folder is in its place" 73 '' -d sim:f407 flash new.bin@0x08000000
rmdir report.html

# ---- in a browser ----

# What looks at pages: it loads each into a frame, whose width is that of a screen, and writes down
# what is wrong, or how much there was to see. Its own words on the console show that they are heard.
looker() {
  cat <<'EOF'
<!DOCTYPE html><meta charset="utf-8"><body><script>
console.log("heard");
function look(frame, width) {
  const page = frame.contentDocument, wrong = [];
  const style = (element) => frame.contentWindow.getComputedStyle(element);
  const say = (words) => wrong.length < 5 && wrong.push(words);
  if (page.documentElement.scrollWidth > width) say("wider than the screen");
  if (page.querySelector("script, [onload], [onerror]")) say("it has a script");
  const sectors = page.querySelectorAll("svg.memory rect.sector");
  for (const sector of sectors) {
    const box = sector.getBoundingClientRect();
    if (box.width < 20 || box.height < 1) say("a sector can't be seen: " + sector.textContent);
    if (style(sector).fill === "rgb(0, 0, 0)") say("a sector without a colour");
  }
  for (const svg of page.querySelectorAll("svg.memory")) {
    const whole = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      if (box.right > whole.right + 1 || box.left < whole.left - 1 || box.bottom > whole.bottom + 1)
        say("words outside of the picture: " + text.textContent);
    }
    const labels = [...svg.querySelectorAll("text:not([class])")]
      .map((text) => text.getBoundingClientRect()).sort((a, b) => a.top - b.top);
    labels.forEach((box, i) => {
      if (i && box.top < labels[i - 1].bottom - 2) say("labels that overlap");
    });
  }
  for (const part of page.querySelectorAll(".scroll"))
    if (part.scrollWidth > part.clientWidth + 1) say("a table that has to be scrolled");
  return wrong.length ? "wrong: " + wrong.join("; ")
    : `right: ${sectors.length} sectors on ${style(page.body).backgroundColor}`;
}
function open(name, source, width) {
  const said = document.body.appendChild(document.createElement("pre"));
  const frame = document.createElement("iframe");
  said.textContent = `${name}: did not load`;
  frame.style = `width: ${width}px; height: 900px; border: 0`;
  frame.src = source;
  frame.onload = () => { said.textContent = `${name}: ${look(frame, width)}`; };
  document.body.append(frame);
}
EOF
  cat
  echo '</script>'
}

# browse SCHEME <LINES, of script: 0 is dark, 1 is light. What the pages look like goes to dom, all
# else to log. Nothing is asked of any network.
browse() {
  looker >look.html
  timeout 60 "$chromium" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
    --user-data-dir="$place/profile" --no-first-run --disable-background-networking \
    --disable-component-update --host-resolver-rules='MAP * ~NOTFOUND' \
    --allow-file-access-from-files --enable-logging=stderr --blink-settings="preferredColorScheme=$1" \
    --window-size=1300,1000 --dump-dom "file://$place/look.html" >dom 2>log </dev/null
}

# looked NAME PATTERN
looked() {
  said=$(sed -n "s/.*<pre>$1: \([^<]*\)<.*/\1/p" dom)
  case $said in
    right:*$2*) verdict "$1" "" ;;
    *) verdict "$1" "$said; not '$2'" ;;
  esac
}

silent() {
  verdict "$1" "$(grep CONSOLE log | grep -v heard)"
}

skip() {
  echo "skipped: reports in a browser: $1"
  skipped=1
}

chromium=$(command -v chromium || command -v chromium-browser)
if [ -z "$chromium" ]; then
  skip "there is no chromium ('make deps-test' installs it)"
elif ! browse 1 <<'EOF' || ! grep -q '<pre>' dom; then
open("wide and light", "passed.html", 1200);
open("not so wide", "passed.html", 1100);
open("a tablet", "passed.html", 800);
open("a failure", "failed.html", 1200);
open("sixteen boards on a wide screen", "sixteen.html", 1200);
open("sixteen boards on a narrow one", "sixteen.html", 360);
open("measurements on a wide screen", "measured.html", 1200);
open("measurements on a tablet", "measured.html", 600);
open("measurements on a narrow one", "measured.html", 360);
EOF
  skip "chromium does not run here: $(grep -v dbus log | tail -n 1)"
else
  looked "wide and light" "7 sectors on rgb(246, 247, 248)"
  looked "not so wide" "sectors"
  looked "a tablet" "sectors"
  looked "a failure" "sectors"
  looked "sixteen boards on a wide screen" "sectors"
  looked "sixteen boards on a narrow one" "sectors"
  looked "measurements on a wide screen" " 0 sectors"
  looked "measurements on a tablet" " 0 sectors"
  looked "measurements on a narrow one" " 0 sectors"
  verdict "its console is heard" "$(grep -q 'CONSOLE.*heard' log || cat log)"
  silent "nothing on the console"
  browse 0 <<'EOF'
open("narrow and dark", "passed.html", 400);
EOF
  looked "narrow and dark" "7 sectors on rgb(20, 23, 26)"
  silent "nothing on the console in the dark"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]

#!/bin/sh
# SPDX-License-Identifier: MIT
# Which Lua files a binary reads: those of its own tree, or those that are built in; never files
# in a folder beside it.
# The last line is "N passed, N failed, N skipped".
set -u
unset BUILD # of the tests
cd "$(dirname "$0")/../.." || exit 1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
passed=0 failed=0

# A folder with Lua files that say who they are.
trap_in() {
  mkdir -p "$1/lua/moonflash/cli"
  echo 'print("foreign") os.exit(0)' >"$1/lua/moonflash/cli/init.lua"
}

# says NAME PATTERN PROGRAM
says() {
  if "$3" --version 2>&1 | grep -q "$2"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "failed: $1: it says $("$3" --version 2>&1 | head -3)"
  fi
}

# A tree of its own: what is built there needs no other. Unoptimized, because that is built sooner.
tree=$place/tree
mkdir "$tree"
cp -r Makefile src lua scripts docs "$tree/"
make -s -C "$tree" all CFLAGS=-O0 DESTDIR="$place/root" PREFIX=/usr install >"$place/log" 2>&1 || cat "$place/log"
installed=$place/root/usr/bin/moonflash

says "what is installed" '^moonflash ' "$installed"
trap_in "$place/root/usr"
says "what is installed, Lua files beside it" '^moonflash ' "$installed"
strip -o "$place/stripped" "$installed" # debug information names the folder
if grep -q "$tree" "$place/stripped"; then
  says "what is installed knows of no tree" 'no tree' "$installed"
fi

mkdir -p "$place/x/build"
cp "$tree/build/moonflash" "$place/x/build/"
trap_in "$place/x"
says "a copy" '^moonflash ' "$place/x/build/moonflash"

trap_in "$tree"
says "the build of the tree reads the tree" '^foreign' "$tree/build/moonflash"
mv "$tree" "$place/moved"
says "a tree that was moved" '^moonflash ' "$place/moved/build/moonflash"
rm -r "$place/moved/lua"
says "a tree that is gone" '^moonflash ' "$place/moved/build/moonflash"

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]

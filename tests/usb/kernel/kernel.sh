#!/bin/sh
# SPDX-License-Identifier: MIT
# Prints the folder that holds Debian's stock kernel (vmlinuz) and the modules that the bed needs
# (*.ko; `modules` has their names, in the order they are loaded in). They are kept outside build/, so
# that `make clean` costs no second download. When they can't be had it prints why, and ends with 77.
set -u
wanted="vhci-hcd usbmon"
keep=${XDG_CACHE_HOME:-$HOME/.cache}/moonflash/kernel

# The metapackage holds nothing: the kernel is in what it depends on.
about=$(apt-cache show --no-all-versions linux-image-amd64 2>/dev/null)
package=$(echo "$about" | sed -n 's/^Depends: \(linux-image-[^ ]*\).*/\1/p')
folder=$keep/${package}_$(echo "$about" | sed -n 's/^Version: //p')

whole() {
  [ -s "$1/vmlinuz" ] || return 1
  for module in $wanted; do
    [ -s "$1/$module.ko" ] || return 1
  done
}

found() {
  echo "$1"
  exit 0
}

# Without a network, or without apt's lists, one that was fetched before is as good.
not_fetched() {
  for older in "$keep"/linux-image-*; do
    whole "$older" && found "$older"
  done
  echo "$1"
  exit 77
}

[ -n "$package" ] || not_fetched "apt knows no linux-image-amd64 (try 'apt-get update')"
whole "$folder" && found "$folder"

mkdir -p "$keep" 2>/dev/null
work=$(mktemp -d "$keep/new.XXXXXX" 2>/dev/null) || not_fetched "$keep can't be written"
trap 'rm -rf "$work"' EXIT
mkdir "$work/out"

(cd "$work" && apt-get -q download "$package") >"$work/log" 2>&1 ||
  not_fetched "apt-get download $package: $(tail -n 1 "$work/log")"
dpkg-deb -x "$work"/*.deb "$work/root" 2>"$work/log" ||
  not_fetched "$package can't be unpacked: $(tail -n 1 "$work/log")"

# A module's file is named with - or _, and other Debians compress it.
file_of() {
  find "$work/root/" -name "$(echo "$1" | sed 's/[-_]/[-_]/g').ko*"
}

# A module after those it needs; what has no file is built in.
add() (
  file=$(file_of "$1")
  name=$(basename "$file" .xz)
  if [ -z "$file" ] || grep -qsx "$name" "$work/out/modules"; then
    exit
  fi
  for needed in $(modinfo -F depends "$file" | tr , ' '); do
    add "$needed"
  done
  cp "$file" "$work/out/"
  [ "$name" = "$(basename "$file")" ] || xz -d "$work/out/$name.xz"
  echo "$name" >>"$work/out/modules"
)

for module in $wanted; do
  add "$module"
done
cp "$work"/root/boot/vmlinuz-* "$work/out/vmlinuz"
whole "$work/out" || not_fetched "$package lacks one of vmlinuz $wanted"

rm -rf "$keep"/linux-image-*
mv "$work/out" "$folder"
found "$folder"

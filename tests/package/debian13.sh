#!/bin/sh
# SPDX-License-Identifier: MIT
# The README's `make demo`, `make check`, and what clang says, on a Debian 13 of its own, on the last commit.
set -eu
cd "$(dirname "$0")/../.."
. tests/package/chroot.sh
debian trixie
mkdir "$root/moonflash"
git archive HEAD | tar x -C "$root/moonflash"
inside "apt-get update -q && apt-get install -y -q --no-install-recommends make" >/dev/null
inside "cd /moonflash && make demo"
inside "cd /moonflash && make check"
inside "cd /moonflash && make WERROR=-Werror clang"

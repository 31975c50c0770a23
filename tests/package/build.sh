#!/bin/sh
# SPDX-License-Identifier: MIT
# build.sh VERSION: makes the Debian package from build/moonflash-VERSION.tar.gz, in build/deb, and
# lets lintian look at it. DEB_BUILD_OPTIONS=nocheck leaves the tests out.
set -eu
version=$1
tarball=$(realpath "build/moonflash-$version.tar.gz")
for program in dpkg-buildpackage dh lintian; do
  command -v $program >/dev/null || {
    echo "$program is missing: apt-get install dpkg-dev debhelper lintian" >&2
    exit 1
  }
done
rm -rf build/deb
mkdir -p build/deb
cd build/deb
tar xzf "$tarball"
(cd "moonflash-$version" && dpkg-buildpackage -us -uc >../build.log 2>&1) || {
  tail -n 50 build.log
  exit 1
}
grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' build.log | tail -n 1
lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs \
  moonflash_"$version"_*.changes
ls -- *.deb

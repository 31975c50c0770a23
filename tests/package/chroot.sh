# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# A Debian of its own in a folder, for those that read this file: root, debootstrap and mounts.
[ "$(id -u)" = 0 ] || { echo "This takes root." >&2; exit 1; }
command -v debootstrap >/dev/null || {
  echo "debootstrap is missing: apt-get install debootstrap" >&2
  exit 1
}
root=$(mktemp -d)
chmod 755 "$root" # for apt's own user
unmount() { umount -l "$root/proc" "$root/dev" 2>/dev/null; }
trap 'unmount; rm -rf --one-file-system "$root"' EXIT
trap 'exit 1' INT TERM

# debian SUITE: $root becomes that Debian, with nothing in it but what every Debian has.
debian() {
  debootstrap --variant=minbase "$1" "$root" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" \
    >"$root.log" 2>&1 || { tail -n 5 "$root.log"; exit 1; }
  rm -f "$root.log"
  cp /etc/resolv.conf "$root/etc/"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --make-rslave "$root/dev"
}

# inside COMMAND: what a shell does there.
inside() {
  env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive chroot "$root" sh -c "$1"
}

#!/bin/sh
# Puts Debian's kernel for any machine into a cache, with drivers that the cloud kernel of our guests does not have:
#   fetch-kernel.sh    prints a folder with `vmlinuz`, the drivers, and `order`, which names them in the order they load in
# Exit status 125 where it could not be fetched.
set -eu
suite=bookworm
drivers='virtio_pci virtio_blk virtio_console virtio_net crc32c_generic ext4 overlay 9pnet_virtio 9p virtiofs efivarfs'
cache=${XDG_CACHE_HOME:-$HOME/.cache}/qmpilot/kernel
# Another list makes another folder.
tree=$cache/$suite-$(echo "$drivers" | cksum | cut -d ' ' -f 1)
[ -e "$tree/order" ] && { echo "$tree"; exit 0; }

mkdir -p "$cache"
work=$(mktemp -d "$cache/.$suite.XXXXXX")
trap 'rm -rf "$work"' EXIT
# The package with the kernel is the one that linux-image-amd64 asks for: its name changes with each point release.
sh "$(dirname "$0")/unpack.sh" "$suite" "$work/package" --alone '?reverse-depends(?exact-name(linux-image-amd64))' >&2

mkdir "$work/tree"
cp "$work"/package/boot/vmlinuz-* "$work/tree/vmlinuz"
# A driver names those that it needs in its section .modinfo.
add() {
  local name file
  for name; do
    file=$(find "$work/package/lib/modules" -name "$(echo "$name" | sed 's/[_-]/[_-]/g').ko")
    [ -n "$file" ] || { echo "fetch-kernel.sh: the kernel has no driver $name" >&2; exit 125; }
    [ -e "$work/tree/${file##*/}" ] && continue
    add $(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p' | tr , ' ')
    cp "$file" "$work/tree/"
    echo "${file##*/}" >>"$work/order"
  done
}
add $drivers
mv "$work/order" "$work/tree/order"
# A second process finds the tree of the first.
mv -T "$work/tree" "$tree" 2>/dev/null || [ -e "$tree/order" ]
echo "$tree"

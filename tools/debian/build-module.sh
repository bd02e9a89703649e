#!/bin/sh
# Builds one of packages/core/guest/modules, or of tests/fixtures/kernel-modules, for the cloud kernel of a Debian suite, with the host's gcc and make:
#   build-module.sh SUITE MODULE      prints a folder with `vmlinuz` and the module
# The packages stay in a cache. Exit status 125 where they or a compiler are not available.
set -eu
usage='usage: build-module.sh SUITE MODULE'
suite=${1:?$usage} module=${2:?$usage}
here=$(readlink -f "$(dirname "$0")")
source=$here/../../packages/core/guest/modules/$module
[ -d "$source" ] || source=$here/../../tests/fixtures/kernel-modules/$module
cache=${XDG_CACHE_HOME:-$HOME/.cache}/qmpilot/kernel
tree=$cache/headers-$suite

for program in gcc make; do
  command -v $program >/dev/null || { echo "build-module.sh: $program is not on PATH" >&2; exit 125; }
done
mkdir -p "$cache"
work=$(mktemp -d "$cache/.module.XXXXXX")
trap 'rm -rf "$work"' EXIT
if [ ! -e "$tree" ]; then
  # The names of the packages change with each point release: the metapackage leads to the first.
  sh "$here/unpack.sh" "$suite" "$work/packages" --alone '?reverse-depends(?exact-name(linux-headers-cloud-amd64))' >&2
  release=$(cd "$work/packages/usr/src" && echo linux-headers-*-cloud-amd64)
  release=${release#linux-headers-}
  abi=${release%-cloud-amd64}
  # Kernels up to 6.1 share it among the point releases: linux-kbuild-6.1 beside linux-headers-6.1.0-50-common.
  kbuild=linux-kbuild-${abi%.0-[0-9]*}
  sh "$here/unpack.sh" "$suite" "$work/packages" --alone "linux-headers-$abi-common" "$kbuild" "linux-image-$release" >&2
  # These name each other by absolute paths.
  find "$work/packages/usr/src/linux-headers-$release" -maxdepth 1 -type f -exec sed -i "s|/usr/src/|$tree/usr/src/|g; s|/usr/lib/|$tree/usr/lib/|g" {} +
  # Type information for the module would take pahole.
  rm -f "$work/packages/usr/src/linux-headers-$release/vmlinux"
  mv -T "$work/packages" "$tree" 2>/dev/null || [ -e "$tree" ]
fi
release=$(cd "$tree/usr/src" && echo linux-headers-*-cloud-amd64)
release=${release#linux-headers-}

target=$cache/module-$module-$release-$(cat "$source"/*.c "$source/Makefile" | cksum | cut -d ' ' -f 1)
if [ ! -e "$target" ]; then
  cp -r "$source" "$work/module"
  make -s -C "$work/module" KDIR="$tree/usr/src/linux-headers-$release" CC=gcc >&2
  mkdir "$work/target"
  cp "$tree/boot/vmlinuz-$release" "$work/target/vmlinuz"
  cp "$work/module"/*.ko "$work/target/"
  mv -T "$work/target" "$target" 2>/dev/null || [ -e "$target" ]
fi
echo "$target"

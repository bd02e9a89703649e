#!/bin/sh
# Unpacks Debian's EFI firmware for QEMU into a cache, without installing it:
#   fetch-ovmf.sh    prints the folder with OVMF_CODE_4M.fd and OVMF_VARS_4M.fd
# Exit status 125 where it could not be fetched.
set -eu
suite=bookworm
cache=${XDG_CACHE_HOME:-$HOME/.cache}/qmpilot/ovmf
firmware=usr/share/OVMF
[ -e "$cache/$suite/$firmware/OVMF_VARS_4M.fd" ] && { echo "$cache/$suite/$firmware"; exit 0; }

mkdir -p "$cache"
work=$(mktemp -d "$cache/.$suite.XXXXXX")
trap 'rm -rf "$work"' EXIT
sh "$(dirname "$0")/unpack.sh" "$suite" "$work/tree" --alone ovmf >&2
# A second process finds the tree of the first.
mv -T "$work/tree" "$cache/$suite" 2>/dev/null || [ -e "$cache/$suite/$firmware/OVMF_VARS_4M.fd" ]
echo "$cache/$suite/$firmware"

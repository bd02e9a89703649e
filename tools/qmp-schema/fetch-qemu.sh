#!/bin/sh
# Unpacks the QEMU and the guest agent of another Debian suite into the cache, once:
#   fetch-qemu.sh SUITE     prints a folder with the programs qemu-system-x86_64, qemu-img and qemu-ga, which run with the suite's
#                           own libraries, and the agent's schema, qga-schema.json
# SUITE is bookworm, trixie, sid, ... Needs apt-get and dpkg-deb, not root. Exit status 125: it could not be fetched.
set -eu
suite=${1:?usage: fetch-qemu.sh SUITE}
here=$(dirname "$(readlink -f "$0")")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/qmpilot/qemu
tree=$cache/$suite
[ ! -e "$tree/complete" ] || { echo "$tree"; exit 0; }

mkdir -p "$cache"
work=$(mktemp -d "$cache/.$suite.XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "fetching the QEMU of Debian's $suite" >&2
sh "$here/../debian/unpack.sh" "$suite" "$work" qemu-system-x86 qemu-utils seabios qemu-guest-agent
gzip -dc "$work/usr/share/doc/qemu-guest-agent/qapi-schema.json.gz" >"$work/qga-schema.json"
rm -rf "$work/usr/share/doc"

# Its own loader, libraries, modules and firmware: nothing of the host's.
wrap() {
  cat >"$work/$1" <<WRAPPER
#!/bin/sh
d=\$(dirname "\$(readlink -f "\$0")")
l=/lib/x86_64-linux-gnu
for loader in "\$d/usr/lib64/ld-linux-x86-64.so.2" "\$d/lib64/ld-linux-x86-64.so.2" "\$d/usr\$l/ld-linux-x86-64.so.2"; do
  [ ! -e "\$loader" ] || break
done
export QEMU_MODULE_DIR="\$d/usr\$l/qemu"
exec "\$loader" --library-path "\$d\$l:\$d/usr\$l:\$d/usr\$l/pulseaudio" "\$d/$2" $3 "\$@"
WRAPPER
  chmod +x "$work/$1"
  "$work/$1" --version >&2 || { echo "fetch-qemu.sh: $1 of $suite does not run here" >&2; exit 125; }
}
wrap qemu-system-x86_64 usr/bin/qemu-system-x86_64 '-L "$d/usr/share/qemu" -L "$d/usr/share/seabios"'
wrap qemu-img usr/bin/qemu-img ''
wrap qemu-ga usr/sbin/qemu-ga ''
: >"$work/complete"
# A second process finds the tree of the first one.
[ -e "$tree/complete" ] || rm -rf "$tree"
mv -T "$work" "$tree" 2>/dev/null || [ -e "$tree/complete" ]
echo "$tree"

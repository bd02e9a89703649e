#!/bin/sh
# Unpacks the QEMU of another Debian suite into a cache, beside the host's own and without installing anything:
#   fetch-qemu.sh SUITE        prints the path of a qemu-system-x86_64 that runs with the suite's own libraries
# SUITE is trixie, sid, ... ; the mirror and the keys are those of the host's apt. Needs apt-get and dpkg-deb, not root.
set -eu
suite=${1:?usage: fetch-qemu.sh SUITE}
case $suite in *[!a-z0-9-]*) echo "fetch-qemu.sh: not a suite name: $suite" >&2; exit 2 ;; esac
cache=${XDG_CACHE_HOME:-$HOME/.cache}/qmpilot/qemu
tree=$cache/$suite
wrapper=$tree/qemu-system-x86_64
[ -x "$wrapper" ] && { echo "$wrapper"; exit 0; }

mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' | head -n 1)
[ -n "$mirror" ] || { echo 'fetch-qemu.sh: the host has no Debian mirror in its apt sources' >&2; exit 125; }

mkdir -p "$cache"
work=$(mktemp -d "$cache/.$suite.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$work/tree"
: >"$work/apt/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/apt/sources.list"

# An empty status file makes apt resolve everything down to libc.
private_apt() {
  apt-get -q -y -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=- \
    -o Dir::State="$work/apt" -o Dir::State::status="$work/apt/status" -o Dir::State::lists="$work/apt/lists" \
    -o Dir::Cache="$work/apt" -o Dir::Cache::archives="$work/apt/archives" -o APT::Sandbox::User="$(id -un)" \
    -o APT::Install-Recommends=false -o Debug::NoLocking=true -o APT::Update::Post-Invoke::=true -o Acquire::Languages=none "$@"
}
private_apt update >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 125; }
private_apt --download-only install qemu-system-x86 seabios >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 125; }
for deb in "$work"/apt/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work/tree" --no-same-owner --keep-directory-symlink \
    --exclude='./usr/share/doc' --exclude='./usr/share/locale' --exclude='./usr/share/man'
done

# Its own loader, libraries, modules and firmware: nothing of the host's.
cat >"$work/tree/qemu-system-x86_64" <<'WRAPPER'
#!/bin/sh
d=$(dirname "$(readlink -f "$0")")
l=/lib/x86_64-linux-gnu
for loader in "$d/usr/lib64/ld-linux-x86-64.so.2" "$d/lib64/ld-linux-x86-64.so.2" "$d/usr$l/ld-linux-x86-64.so.2"; do
  [ -e "$loader" ] && break
done
QEMU_MODULE_DIR="$d/usr$l/qemu" exec "$loader" --library-path "$d$l:$d/usr$l:$d/usr$l/pulseaudio" \
  "$d/usr/bin/qemu-system-x86_64" -L "$d/usr/share/qemu" -L "$d/usr/share/seabios" "$@"
WRAPPER
chmod +x "$work/tree/qemu-system-x86_64"
"$work/tree/qemu-system-x86_64" --version >&2 || { echo "fetch-qemu.sh: the QEMU of $suite does not run here" >&2; exit 125; }
# Whoever comes second finds the first one's tree.
mv -T "$work/tree" "$tree" 2>/dev/null || [ -x "$wrapper" ]
echo "$wrapper"

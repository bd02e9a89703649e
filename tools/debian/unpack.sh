#!/bin/sh
# Unpacks packages of another Debian suite into a new folder, beside the host's own and without installing anything:
#   unpack.sh SUITE FOLDER [--alone] PACKAGE...      with all they depend on, down to libc; --alone: only themselves
# The mirror and the keys are those of the host's apt. Needs apt-get and dpkg-deb, not root. Exit status 125: it could not be fetched.
set -eu
usage='usage: unpack.sh SUITE FOLDER [--alone] PACKAGE...'
suite=${1:?$usage} folder=${2:?$usage}
shift 2
case $suite in *[!a-z0-9-]*) echo "unpack.sh: not a suite name: $suite" >&2; exit 2 ;; esac
how='--download-only install'
[ "${1:?$usage}" != --alone ] || { how=download; shift; }

mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' | head -n 1)
[ -n "$mirror" ] || { echo 'unpack.sh: the apt sources of this host have no Debian mirror' >&2; exit 125; }

mkdir -p "$folder"
folder=$(readlink -f "$folder")
work=$(mktemp -d "$folder/.apt.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial"
: >"$work/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/sources.list"

# An empty status file makes apt resolve everything down to libc.
private_apt() {
  apt-get -q -y -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::Etc::preferencesparts=- \
    -o Dir::State="$work" -o Dir::State::status="$work/status" -o Dir::State::lists="$work/lists" \
    -o Dir::Cache="$work" -o Dir::Cache::archives="$work/archives" -o APT::Sandbox::User="$(id -un)" \
    -o APT::Install-Recommends=false -o Debug::NoLocking=true -o APT::Update::Post-Invoke::=true -o Acquire::Languages=none \
    -o Acquire::Retries=3 "$@"
}
cd "$work/archives"
private_apt update >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 125; }
# $how is one or two words.
private_apt $how "$@" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 125; }
for deb in "$work"/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder" --no-same-owner --keep-directory-symlink \
    --exclude='./usr/share/locale' --exclude='./usr/share/man'
done

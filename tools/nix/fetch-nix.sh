#!/bin/sh
# Unpacks the Nix of Debian's trixie into a cache, beside the host's own and without installing anything:
#   fetch-nix.sh               prints the folder that holds its programs: nix, nix-instantiate
# The mirror and the keys are those of the host's apt. Needs mmdebstrap, not root; exit status 125 where it could not be fetched.
set -eu
suite=trixie
cache=${XDG_CACHE_HOME:-$HOME/.cache}/qmpilot/nix
tree=$cache/$suite
[ -x "$tree/programs/nix" ] && { echo "$tree/programs"; exit 0; }

command -v mmdebstrap >/dev/null || { echo 'fetch-nix.sh: mmdebstrap is not on PATH' >&2; exit 125; }
mkdir -p "$cache"
work=$(mktemp -d "$cache/.$suite.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree" "$work/tree/programs"
# As a tar archive, so that everything belongs to the calling user, with or without a user namespace.
mmdebstrap --quiet --variant=extract --include=nix-bin --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-exclude=/usr/share/man/*' "$suite" "$work/tree.tar" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 125; }
tar -x -C "$work/tree" --no-same-owner --no-same-permissions --exclude=./dev -f "$work/tree.tar"

# With its own loader and libraries: nothing of the host's. Nix looks at the name it is called by.
for program in nix nix-instantiate; do
  cat >"$work/tree/programs/$program" <<WRAPPER
#!/bin/sh
d=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")
l=\$d/usr/lib/x86_64-linux-gnu
exec "\$l/ld-linux-x86-64.so.2" --library-path "\$l" --argv0 $program "\$d/usr/bin/$program" "\$@"
WRAPPER
  chmod +x "$work/tree/programs/$program"
done
"$work/tree/programs/nix" --version >&2 || { echo "fetch-nix.sh: the Nix of $suite does not run here" >&2; exit 125; }
# A second process finds the tree of the first.
mv -T "$work/tree" "$tree" 2>/dev/null || [ -x "$tree/programs/nix" ]
echo "$tree/programs"

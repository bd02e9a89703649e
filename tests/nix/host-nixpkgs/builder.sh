# Builds a package as nixpkgs' stdenv does, as far as ours go.
runHook() { :; }
patchShebangs() { :; }

# makeWrapper PROGRAM WRAPPER --add-flags FLAGS --suffix PATH : FOLDERS
makeWrapper() {
  mkdir -p "$(dirname "$2")"
  printf '#!/bin/bash -e\nexport PATH="$PATH:%s"\nexec "%s" %s "$@"\n' "$8" "$1" "$4" > "$2"
  chmod +x "$2"
}

cd "$NIX_BUILD_TOP"
if [ -n "$buildCommand" ]; then
  eval "$buildCommand"
  exit
fi
cp -r "$src" source
chmod -R u+w source
cd source
eval "$buildPhase"
eval "$installPhase"
eval "$installCheckPhase"

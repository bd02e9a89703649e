#!/bin/bash
# Builds what the flake fetches from npm's registry by a real Nix, with the host's programs in place of nixpkgs: the command, and the cache
# with which `npm ci` works offline in the guest. Runs both. Takes some minutes, for each package is fetched by itself and held to the
# lockfile's integrity. Works on what git knows.
set -euo pipefail
root=$(readlink -f "$(dirname "$0")/../..")
programs=$(sh "$root/tools/nix/fetch-nix.sh")
# Nix wants a folder without links and dots for its store.
work=$(mktemp -d /var/tmp/qmpilot-nix-build.XXXXXX)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
mkdir "$work/flake" "$work/npm"
git -C "$root" ls-files -z | (cd "$root" && xargs -0 cp --parents -t "$work/flake")

export NPM_CONFIG_USERCONFIG=${NPM_CONFIG_USERCONFIG:-$HOME/.npmrc}
export NIX_STORE_DIR=$work/store NIX_STATE_DIR=$work/state NIX_LOG_DIR=$work/log
export NIX_CONFIG="experimental-features = nix-command flakes
sandbox = false
build-hook =
build-users-group =
substituters =
max-jobs = 2
flake-registry ="
build() {
  HOME=$work "$programs/nix" build --offline --no-write-lock-file --no-link --print-out-paths "path:$work/flake?dir=tests/nix/host-nixpkgs#$1"
}

command=$(build qmpilot)
echo "qmpilot $("$command/bin/qmpilot" --version): $command"

cache=$(build npm-ci-cache)
cp "$root"/packages/core/guest/npm-project/* "$work/npm/"
cp -r "$cache" "$work/npm/.npm"
chmod -R u+w "$work/npm"
printf 'offline=true\naudit=false\nfund=false\nupdate-notifier=false\n' > "$work/npm/npmrc"
cd "$work/npm"
HOME=$work/npm NPM_CONFIG_USERCONFIG=$work/npm/npmrc npm ci

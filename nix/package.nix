# The command line, built with the packages that pnpm-lock.yaml names and with the pnpm that package.json names.
{
  lib,
  stdenv,
  callPackage,
  makeWrapper,
  nodejs_22,
  qemu,
  util-linux,
  mmdebstrap ? null,
}:
let
  nodejs = nodejs_22;
  npm = callPackage ./npm.nix { inherit nodejs; };
  root = ../.;
  manifest = builtins.fromJSON (builtins.readFile (root + "/package.json"));

  packages = import ./pnpm-lock.nix { inherit lib; } (builtins.readFile (root + "/pnpm-lock.yaml"));
  registry = npm.registry "qmpilot-registry" packages npm.tarball;

  # pnpm itself: one package without dependencies.
  pnpmVersion = lib.removePrefix "pnpm@" manifest.packageManager;
  pnpm = npm.tarball {
    name = "pnpm";
    version = pnpmVersion;
    integrity = (builtins.fromJSON (builtins.readFile ./pnpm.json)).${pnpmVersion};
  };
in
stdenv.mkDerivation {
  pname = "qmpilot";
  inherit ((builtins.fromJSON (builtins.readFile (root + "/packages/cli/package.json")))) version;

  src = lib.fileset.toSource {
    inherit root;
    fileset = lib.fileset.unions [
      ../package.json
      ../pnpm-lock.yaml
      ../pnpm-workspace.yaml
      ../tsconfig.base.json
      ../examples
      ../packages
      ../tests/package.json
    ];
  };

  nativeBuildInputs = [
    nodejs
    makeWrapper
  ];

  buildPhase = ''
    runHook preBuild
    export HOME=$TMPDIR CI=true
    mkdir "$TMPDIR/pnpm"
    tar -xzf ${pnpm} -C "$TMPDIR/pnpm" --strip-components=1
    pnpm() { node "$TMPDIR/pnpm/bin/pnpm.cjs" "$@"; }

    node ${./serve-registry.mjs} ${registry} "$TMPDIR/port" &
    server=$!
    until [ -s "$TMPDIR/port" ]; do sleep 0.1; kill -0 "$server"; done
    pnpm install --frozen-lockfile --registry "http://127.0.0.1:$(cat "$TMPDIR/port")/"
    kill "$server"
    patchShebangs node_modules packages/*/node_modules
    pnpm -r --filter ./packages/core --filter ./packages/cli run build

    # The dependencies again, without those that only building takes.
    rm -rf node_modules */node_modules packages/*/node_modules
    pnpm install --frozen-lockfile --offline --ignore-scripts --prod --filter qmpilot...
    runHook postBuild
  '';

  installPhase = ''
    runHook preInstall
    mkdir -p "$out/bin" "$out/share/qmpilot"
    # pnpm's links are relative: the workspace is copied as it stands.
    for part in node_modules packages/{core,cli}/{package.json,dist,node_modules} packages/core/guest; do
      mkdir -p "$out/lib/qmpilot/$(dirname "$part")"
      cp -a "$part" "$out/lib/qmpilot/$part"
    done
    cp -r examples "$out/share/qmpilot/"
    makeWrapper ${nodejs}/bin/node "$out/bin/qmpilot" \
      --add-flags "$out/lib/qmpilot/packages/cli/dist/bin.js" \
      --suffix PATH : ${
        lib.makeBinPath (
          [
            nodejs
            qemu
            util-linux
          ]
          ++ lib.optional (mmdebstrap != null) mmdebstrap
        )
      }
    runHook postInstall
  '';

  doInstallCheck = true;
  installCheckPhase = ''
    "$out/bin/qmpilot" --version
  '';

  meta = {
    description = "Boot, drive, snapshot and retry Linux VMs until a bug is caught";
    license = lib.licenses.asl20;
    mainProgram = "qmpilot";
    platforms = [ "x86_64-linux" ];
  };
}

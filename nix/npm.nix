# Packages of the npm registry by name, version and integrity, as lockfiles have them: npm fetches each from the
# registry that it is set to, and the integrity is the hash that Nix holds it to. No hash of our own to keep up.
{
  lib,
  stdenvNoCC,
  runCommand,
  cacert,
  nodejs,
}:
let
  fileName =
    package:
    "${lib.replaceStrings [ "@" "/" ] [ "" "-" ] package.name}-${package.version}.tgz";
in
{
  tarball =
    package:
    stdenvNoCC.mkDerivation {
      name = fileName package;
      nativeBuildInputs = [ nodejs ];
      outputHash = package.integrity;
      outputHashAlgo = null;
      outputHashMode = "flat";
      preferLocalBuild = true;
      # Whether Node.js brings certificates of its own is up to how it was built.
      NODE_EXTRA_CA_CERTS = "${cacert}/etc/ssl/certs/ca-bundle.crt";
      impureEnvVars = lib.fetchers.proxyImpureEnvVars;
      buildCommand = ''
        export HOME=$TMPDIR
        mkdir packed
        npm pack --silent --ignore-scripts --pack-destination packed ${lib.escapeShellArg "${package.name}@${package.version}"}
        mv packed/*.tgz "$out"
      '';
    };

  # A registry as a folder of files: NAME/-/FILE, as its addresses are.
  registry =
    name: packages: tarball:
    runCommand name { } (
      "mkdir -p \"$out\"\n"
      + lib.concatMapStrings (
        package:
        let
          folder = "$out/${package.name}/-";
          file = "${baseNameOf package.name}-${package.version}.tgz";
        in
        ''
          mkdir -p "${folder}"
          ln -s ${tarball package} "${folder}/${file}"
        ''
      ) packages
    );

  # What npm's own cache holds of a lockfile, found by digest alone: `npm ci` works offline with it.
  cache =
    name: packages: tarball:
    runCommand name { } (
      lib.concatMapStrings (package: ''
        digest=$(printf %s ${lib.escapeShellArg (lib.removePrefix "sha512-" package.integrity)} | base64 -d | od -An -v -tx1 | tr -d ' \n')
        folder=$out/_cacache/content-v2/sha512/''${digest:0:2}/''${digest:2:2}
        mkdir -p "$folder"
        cp ${tarball package} "$folder/''${digest:4}"
      '') packages
    );

  # The packages of a package-lock.json (version 2 or 3), each once.
  ofPackageLock =
    file:
    let
      lock = builtins.fromJSON (builtins.readFile file);
      installed = lib.filterAttrs (path: _: path != "") lock.packages;
      named = lib.mapAttrsToList (path: entry: {
        name = lib.last (lib.splitString "node_modules/" path);
        inherit (entry) version integrity;
      }) installed;
    in
    lib.attrValues (
      lib.listToAttrs (
        map (package: {
          name = "${package.name}@${package.version}";
          value = package;
        }) named
      )
    );
}

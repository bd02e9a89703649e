# Packages of the npm registry by name, version and integrity, as lockfiles have them: npm fetches each from its
# configured registry, and Nix checks it against the integrity. There is no hash of our own to maintain.
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
    let
      flat = lib.replaceStrings [ "/" ] [ "-" ] (lib.removePrefix "@" package.name);
    in
    "${flat}-${package.version}.tgz";
in
{
  tarball =
    package:
    let
      spec = lib.escapeShellArg "${package.name}@${package.version}";
    in
    stdenvNoCC.mkDerivation {
      name = fileName package;
      nativeBuildInputs = [ nodejs ];
      outputHash = package.integrity;
      outputHashAlgo = null;
      outputHashMode = "flat";
      preferLocalBuild = true;
      # Node.js may have been built without certificates of its own.
      NODE_EXTRA_CA_CERTS = "${cacert}/etc/ssl/certs/ca-bundle.crt";
      impureEnvVars = lib.fetchers.proxyImpureEnvVars;
      buildCommand = ''
        export HOME=$TMPDIR
        mkdir packed
        npm pack --silent --ignore-scripts --pack-destination packed ${spec}
        mv packed/*.tgz "$out"
      '';
    };

  # A registry as a folder of files, NAME/-/FILE, like its addresses.
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

  # npm's own cache of the packages of a lockfile, addressed by digest: `npm ci` works offline with it.
  cache =
    name: packages: tarball:
    runCommand name { } (
      lib.concatMapStrings (
        package:
        let
          base64 = lib.escapeShellArg (lib.removePrefix "sha512-" package.integrity);
        in
        ''
          digest=$(printf %s ${base64} | base64 -d | od -An -v -tx1 | tr -d ' \n')
          folder=$out/_cacache/content-v2/sha512/''${digest:0:2}/''${digest:2:2}
          mkdir -p "$folder"
          cp ${tarball package} "$folder/''${digest:4}"
        ''
      ) packages
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

{
  description = "The stand-in for nixpkgs, with packages that can be built: of the host's programs";

  outputs =
    { self }:
    let
      standIn = import ../nixpkgs/lib;
      proxies = standIn.fetchers.proxyImpureEnvVars;
      lib = standIn // {
        # The user's npm registry, beside the proxies.
        fetchers.proxyImpureEnvVars = proxies ++ [ "NPM_CONFIG_USERCONFIG" ];
        fileset = standIn.fileset // {
          toSource =
            { root, fileset }:
            builtins.path {
              path = root;
              name = "source";
              filter =
                path: _:
                !(builtins.elem (baseNameOf path) [
                  "node_modules"
                  "dist"
                ]);
            };
        };
      };
      pkgs = import ../nixpkgs/pkgs.nix {
        inherit lib;
        package =
          name: attrs:
          derivation (
            # Nulls are left out, as nixpkgs does.
            lib.filterAttrs (_: value: value != null) (builtins.removeAttrs attrs [ "meta" ])
            // {
              inherit name;
              system = "x86_64-linux";
              builder = "/bin/bash";
              args = [
                "-e"
                ./builder.sh
              ];
              PATH = "/usr/local/bin:/usr/bin:/bin";
            }
          );
        named = version: pname: {
          inherit pname version;
          name = "${pname}-${version}";
          type = "derivation";
          outPath = "/usr";
        };
      };
      npm = pkgs.callPackage ../../../nix/npm.nix { nodejs = pkgs.nodejs_22; };
      project = ../../../packages/core/guest/npm-project;
      locked = npm.ofPackageLock (project + "/package-lock.json");
    in
    {
      inherit lib;
      legacyPackages.x86_64-linux = pkgs;
      packages.x86_64-linux = {
        qmpilot = pkgs.callPackage ../../../nix/package.nix { };
        npm-ci-cache = npm.cache "npm-ci-cache" locked npm.tarball;
      };
    };
}

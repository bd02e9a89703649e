# nix flake check: what Nix can tell about this flake.
{
  lib,
  runCommand,
  nixfmt-rfc-style,
  qmpilot,
  nixosConfigurations,
}:
let
  guest = nixosConfigurations.nixos-vm;
  sources = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../flake.nix
      (lib.fileset.fileFilter (file: file.hasExt "nix") ../nix)
      (lib.fileset.fileFilter (file: file.hasExt "nix") ../tests/nix)
    ];
  };

  # The versions of the bug report: a guest with others is not the one that has the bug.
  versions = {
    kernel = guest.config.boot.kernelPackages.kernel.version;
    node = guest.pkgs.nodejs_22.version;
    libuv = guest.pkgs.libuv.version;
  };
  expected = {
    kernel = "6.6.58";
    node = "22.4.1";
    libuv = "1.48.0";
  };
in
{
  package = qmpilot;

  format = runCommand "qmpilot-format" { nativeBuildInputs = [ nixfmt-rfc-style ]; } ''
    find ${sources} -name '*.nix' -exec nixfmt --check {} +
    touch "$out"
  '';

  versions =
    assert lib.assertMsg (versions == expected) "the guest has ${builtins.toJSON versions}";
    runCommand "qmpilot-versions" { } ''
      echo ${lib.escapeShellArg (builtins.toJSON versions)} > "$out"
    '';

  nixos-vm = guest.config.system.build.vm;
  nixos-vm-snapshot = nixosConfigurations.nixos-vm-snapshot.config.system.build.vm;
}

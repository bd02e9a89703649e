# The outputs of the flake. Guests of qmpilot are x86-64, and so are these.
{
  self,
  nixpkgs,
  nixpkgs-guest,
}:
let
  system = "x86_64-linux";
  pkgs = nixpkgs.legacyPackages.${system};

  qmpilot = pkgs.callPackage ./package.nix { };
  demo = pkgs.callPackage ./demo.nix {
    inherit qmpilot;
    vm = self.nixosConfigurations.nixos-vm-snapshot.config.system.build.vm;
  };

  guest =
    module:
    nixpkgs-guest.lib.nixosSystem {
      inherit system;
      modules = [ module ];
    };
in
{
  nixosModules = {
    qmpilot = ./modules/qmpilot.nix;
    default = ./modules/qmpilot.nix;
  };

  nixosConfigurations = {
    nixos-vm = guest ./guest/nixos-vm.nix;
    nixos-vm-snapshot = guest ./guest/nixos-vm-snapshot.nix;
  };

  packages.${system} = {
    default = qmpilot;
    inherit qmpilot;
    nixos-vm = self.nixosConfigurations.nixos-vm.config.system.build.vm;
    nixos-vm-snapshot = self.nixosConfigurations.nixos-vm-snapshot.config.system.build.vm;
  };

  apps.${system} = {
    default = {
      type = "app";
      program = "${qmpilot}/bin/qmpilot";
      meta.description = "The command line of qmpilot";
    };
    demo = {
      type = "app";
      program = "${demo}/bin/qmpilot-demo";
      meta.description = "Catch the bug of nodejs/node#55587 on the kernel that has it";
    };
  };

  devShells.${system}.default = pkgs.callPackage ./shell.nix { };

  formatter.${system} = pkgs.nixfmt-tree;

  # Not by callPackage: it would add `override` to the checks, which is none.
  checks.${system} = import ./checks.nix {
    inherit (pkgs) lib runCommand nixfmt-rfc-style;
    inherit qmpilot;
    inherit (self) nixosConfigurations;
  };
}

{
  description = "qmpilot: boot, drive, snapshot and retry Linux VMs until a bug is caught";

  inputs = {
    # The guest of the bug report: Linux 6.6.58, Node.js 22.4.1, libuv 1.48.0. It stays as it is, for the guest alone.
    nixpkgs-guest.url = "github:NixOS/nixpkgs/cd3e8833d70618c4eea8df06f95b364b016d4950";
    # Our own tools.
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.05";
  };

  outputs =
    {
      self,
      nixpkgs,
      nixpkgs-guest,
    }:
    import ./nix { inherit self nixpkgs nixpkgs-guest; };
}

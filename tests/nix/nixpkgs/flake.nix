{
  description = "A stand-in for nixpkgs";

  outputs =
    { self }:
    let
      lib = import ./lib;
      pkgs = import ./pkgs.nix { inherit lib; };
    in
    {
      lib = lib // {
        nixosSystem = import ./nixos { inherit lib pkgs; };
      };
      legacyPackages.x86_64-linux = pkgs;
    };
}

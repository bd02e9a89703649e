{ lib, pkgs }:
{ system, modules }:
let
  result = lib.evalModules {
    modules = [ ./modules/system.nix ] ++ modules;
    specialArgs = {
      inherit pkgs;
      modulesPath = toString ./modules;
    };
  };
  failed = builtins.filter (one: !one.assertion) result.config.assertions;
in
result
// {
  inherit pkgs;
  config =
    if failed == [ ] then
      result.config
    else
      throw "Failed assertions: ${lib.concatStringsSep " " (map (one: one.message) failed)}";
}

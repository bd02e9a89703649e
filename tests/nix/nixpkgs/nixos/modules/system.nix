# The NixOS options that our modules set, with NixOS's types.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };

  service = {
    options = {
      enable = option types.bool true;
      description = option types.str "";
      wantedBy = option (types.listOf types.str) [ ];
      after = option (types.listOf types.str) [ ];
      unitConfig = option (types.attrsOf types.unitValue) { };
      serviceConfig = option (types.attrsOf types.unitValue) { };
      environment = option (types.attrsOf (types.nullOr types.str)) { };
      restartIfChanged = option types.bool true;
    };
    # As systemd's module does: a PATH for each service.
    config.environment.PATH = lib.mkOverride 100 "/nix/store/path-of-the-service";
  };

  value = entry: if builtins.isBool entry then builtins.toJSON entry else toString entry;
  line = attrs: name: "${name}=${value attrs.${name}}\n";
  lines = attrs: lib.concatMapStrings (line attrs) (builtins.attrNames attrs);
  variable = unit: name: "Environment=\"${name}=${unit.environment.${name}}\"\n";
  # As systemd-lib.nix: a unit that is not enabled is a link to /dev/null.
  unitText = unit: if unit.enable then enabledText unit else "/dev/null";
  enabledText =
    unit:
    "[Unit]\nDescription=${unit.description}\n${lines unit.unitConfig}\n"
    + "[Service]\n"
    + lib.concatMapStrings (variable unit) (builtins.attrNames unit.environment)
    + lines unit.serviceConfig
    + "\n[Install]\nWantedBy=${lib.concatStringsSep " " unit.wantedBy}\n";
in
{
  options = {
    assertions = option (types.listOf types.anything) [ ];
    boot.consoleLogLevel = option types.int 4;
    boot.initrd.kernelModules = option (types.listOf types.str) [ ];
    boot.kernel.sysctl = option (types.attrsOf types.sysctl) { };
    boot.kernelModules = option (types.listOf types.str) [ ];
    boot.kernelPackages = option types.anything { kernel.version = "6.6.58"; };
    boot.kernelParams = option (types.listOf types.str) [ ];
    environment.systemPackages = option (types.listOf types.package) [ ];
    networking.hostName = option types.str "nixos";
    programs.bash.loginShellInit = option types.lines "";
    programs.tmux.extraConfig = option types.lines "";
    programs.tmux.enable = option types.bool false;
    services.getty.autologinUser = option (types.nullOr types.str) null;
    services.qemuGuest.enable = option types.bool false;
    system.build = option (types.attrsOf types.anything) { };
    system.name = option types.str config.networking.hostName;
    system.stateVersion = option types.str "24.05";
    systemd.services = option (types.attrsOf (types.submodule service)) { };
    systemd.tmpfiles.rules = option (types.listOf types.str) [ ];
    users.motd = option types.lines "";
  };

  config = {
    boot.kernelParams = [ "loglevel=${toString config.boot.consoleLogLevel}" ];
    system.build.units = builtins.mapAttrs (_: unitText) config.systemd.services;
  };
}

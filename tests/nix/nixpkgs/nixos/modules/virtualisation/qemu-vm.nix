# The options of qemu-vm.nix that our modules set, and the QEMU options and start script that follow from them.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkIf
    mkMerge
    mkOption
    types
    ;
  option = type: default: mkOption { inherit type default; };
  cfg = config.virtualisation;

  securityModels = types.enum [
    "passthrough"
    "mapped-xattr"
    "mapped-file"
    "none"
  ];
  share = {
    options = {
      source = mkOption { type = types.str; };
      target = mkOption { type = types.path; };
      securityModel = option securityModels "mapped-xattr";
    };
  };
  drive = {
    options = {
      name = option (types.nullOr types.str) null;
      file = mkOption { type = types.str; };
      driveExtraOpts = option (types.attrsOf types.str) { };
      deviceExtraOpts = option (types.attrsOf types.str) { };
    };
  };

  program = "run-${config.system.name}-vm";
  shareOption =
    tag: share:
    "-virtfs local,path=${share.source},security_model=${share.securityModel},mount_tag=${tag}";
  arguments =
    lib.mapAttrsToList shareOption cfg.sharedDirectories
    ++ map (drive: "-drive file=${drive.file}") cfg.qemu.drives
    ++ cfg.qemu.options;
in
{
  options.virtualisation = {
    cores = option types.ints.positive 1;
    memorySize = option types.ints.positive 1024;
    graphics = option types.bool true;
    diskImage = option (types.nullOr types.str) "./${config.system.name}.qcow2";
    emptyDiskImages = option (types.listOf types.ints.positive) [ ];
    mountHostNixStore = option types.bool (!cfg.useNixStoreImage);
    sharedDirectories = option (types.attrsOf (types.submodule share)) { };
    useNixStoreImage = option types.bool false;
    writableStore = option types.bool cfg.mountHostNixStore;
    qemu.guestAgent.enable = option types.bool true;
    qemu.options = option (types.listOf types.str) [ ];
    qemu.drives = option (types.listOf (types.submodule drive)) [ ];
  };

  config = {
    services.qemuGuest.enable = cfg.qemu.guestAgent.enable;

    virtualisation.sharedDirectories = {
      nix-store = mkIf cfg.mountHostNixStore {
        source = "/nix/store";
        target = "/nix/.ro-store";
        securityModel = "none";
      };
      xchg = {
        source = "\"$TMPDIR\"/xchg";
        target = "/tmp/xchg";
        securityModel = "none";
      };
      shared = {
        source = "\"\${SHARED_DIR:-$TMPDIR/xchg}\"";
        target = "/tmp/shared";
        securityModel = "none";
      };
    };

    virtualisation.qemu.options = mkIf (!cfg.graphics) [ "-nographic" ];

    virtualisation.qemu.drives = mkMerge [
      (mkIf (cfg.diskImage != null) [
        {
          name = "root";
          file = "\"$NIX_DISK_IMAGE\"";
        }
      ])
      (mkIf cfg.useNixStoreImage [
        {
          name = "nix-store";
          file = "\"$TMPDIR\"/store.img";
          driveExtraOpts.format = "raw";
        }
      ])
      (lib.imap 0 (index: _: { file = "$(pwd)/empty${toString index}.qcow2"; }) cfg.emptyDiskImages)
    ];

    system.build.vm = pkgs.runCommand "nixos-vm" { meta.mainProgram = program; } ''
      exec qemu -m ${toString cfg.memorySize} -smp ${toString cfg.cores} \
        ${lib.concatStringsSep " \\\n  " arguments} \
        $QEMU_OPTS "$@"
    '';
  };
}

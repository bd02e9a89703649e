# Makes a NixOS configuration drivable by qmpilot: root shells on virtio consoles that also answer while a poweroff
# stalls, SysRq, a guest agent, pvpanic. With `qmpilot.snapshot.enable`, the VM of `system.build.vm` can be saved.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkEnableOption
    mkIf
    mkMerge
    mkOption
    types
    ;
  cfg = config.qmpilot;

  # Only configurations that import qemu-vm.nix have a start script.
  hasStartScript = options ? virtualisation && options.virtualisation ? qemu;

  # A configuration without it has one beside it (nixos-rebuild build-vm), where these options hold as well.
  hasVmVariant = options ? virtualisation && options.virtualisation ? vmVariant;

  # systemd's getty generator wants a login on each virtio console: it would take the terminal from the shell.
  noGetty = console: {
    name = "serial-getty@${console}";
    value.enable = false;
  };

  shellUnit = console: {
    name = "qmpilot-shell-${console}";
    value = {
      description = "Root shell on /dev/${console}";
      wantedBy = [ "sysinit.target" ];
      unitConfig = {
        # It has to answer from the first moments of the boot and during a stalled shutdown.
        DefaultDependencies = false;
        IgnoreOnIsolate = true;
        ConditionPathExists = "/dev/${console}";
        StartLimitIntervalSec = 0;
      };
      # mkForce because NixOS sets PATH for each service.
      environment = {
        PATH = lib.mkForce "/run/wrappers/bin:/run/current-system/sw/bin";
        TERM = "dumb";
        HOME = "/root";
        USER = "root";
        LOGNAME = "root";
        HISTFILE = "/dev/null";
      };
      serviceConfig = {
        ExecStart = "-${pkgs.bashInteractive}/bin/bash --norc --noprofile";
        StandardInput = "tty";
        StandardOutput = "tty";
        StandardError = "tty";
        TTYPath = "/dev/${console}";
        TTYReset = true;
        WorkingDirectory = "-/root";
        Restart = "always";
        RestartSec = "100ms";
        KillMode = "process";
        IgnoreSIGPIPE = false;
        OOMScoreAdjust = -1000;
      };
      restartIfChanged = false;
    };
  };
in
{
  options.qmpilot = {
    enable = mkEnableOption "what qmpilot needs in a guest";

    shell.consoles = mkOption {
      type = types.listOf (types.strMatching "hvc[0-7]");
      default = [
        "hvc0"
        "hvc1"
      ];
      description = ''
        Virtio consoles that get a root shell without a login, in place of a getty. qmpilot runs commands on the
        first and samples the guest's threads on the second. They give root in the guest to everybody who
        controls the VM's QEMU.
      '';
    };

    serial.autologin = mkOption {
      type = types.nullOr types.str;
      default = "root";
      description = ''
        User who is logged in on ttyS0 and tty1 without a password. null leaves the logins as they are; keys typed on
        the console then go to the login prompt.
      '';
    };

    sysrq = mkOption {
      type = types.bool;
      default = true;
      description = "Allow every SysRq key, including those sent by QMP `send-key`.";
    };

    consoleLogLevel = mkOption {
      type = types.nullOr (types.ints.between 0 8);
      default = 7;
      description = ''
        Kernel messages below this level reach the console. The call traces of hung tasks have level 6; NixOS shows
        those below 4. null leaves NixOS's default.
      '';
    };

    hungTask.timeout = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 10;
      description = "Seconds in D state before the kernel reports a task. null leaves it at 120.";
    };

    hungTask.checkInterval = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 5;
      description = "Seconds between two checks for such tasks. null leaves it at the timeout.";
    };

    guestAgent = mkOption {
      type = types.bool;
      default = true;
      description = "Run the QEMU guest agent. qmpilot gives the VM a channel to it.";
    };

    pvpanic = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Give the VM a pvpanic device, by which a kernel panic becomes QMP's event GUEST_PANICKED. It has an effect only
        with a kernel that has CONFIG_PVPANIC, which NixOS's own kernels do not: there a panic is seen on the console.
      '';
    };

    snapshot.enable = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Give `system.build.vm` what snapshots and forks need: the store in an image instead of a 9p share, and no other
        shares, because a mounted 9p share blocks them.
      '';
    };

    snapshot.stateDiskMiB = mkOption {
      type = types.nullOr types.ints.positive;
      default = 4096;
      description = ''
        Size of an empty qcow2 disk for the RAM of snapshots of the strategy `internal`. It takes space only as it is
        used. null for none; the default strategy needs none.
      '';
    };
  };

  config = mkIf cfg.enable (mkMerge [
    {
      assertions = [
        {
          assertion = cfg.snapshot.enable -> hasStartScript || hasVmVariant;
          message = "qmpilot.snapshot.enable needs virtualisation/qemu-vm.nix among the imports.";
        }
        {
          assertion = cfg.hungTask.checkInterval != null -> cfg.hungTask.timeout != null;
          message = "qmpilot.hungTask.checkInterval needs qmpilot.hungTask.timeout.";
        }
      ];

      # In the initrd, so that the shells start before the rest of the system.
      boot.initrd.kernelModules = [
        "virtio_pci"
        "virtio_console"
      ];
      systemd.services = lib.listToAttrs (
        map shellUnit cfg.shell.consoles ++ map noGetty cfg.shell.consoles
      );
      services.qemuGuest.enable = lib.mkDefault cfg.guestAgent;
    }

    (mkIf (cfg.serial.autologin != null) {
      services.getty.autologinUser = lib.mkDefault cfg.serial.autologin;
    })

    (mkIf cfg.sysrq {
      boot.kernelParams = [ "sysrq_always_enabled=1" ];
      boot.kernel.sysctl."kernel.sysrq" = lib.mkDefault 1;
    })

    (mkIf (cfg.consoleLogLevel != null) {
      boot.consoleLogLevel = lib.mkDefault cfg.consoleLogLevel;
    })

    (mkIf (cfg.hungTask.timeout != null) {
      boot.kernel.sysctl."kernel.hung_task_timeout_secs" = cfg.hungTask.timeout;
    })

    (mkIf (cfg.hungTask.checkInterval != null) {
      boot.kernel.sysctl."kernel.hung_task_check_interval_secs" = cfg.hungTask.checkInterval;
    })

    (lib.optionalAttrs hasStartScript {
      virtualisation.qemu.options = mkIf cfg.pvpanic [ "-device pvpanic-pci" ];
      # qemu-vm.nix sets services.qemuGuest.enable from this option.
      virtualisation.qemu.guestAgent.enable = lib.mkDefault cfg.guestAgent;
    })

    (lib.optionalAttrs hasStartScript (
      mkIf cfg.snapshot.enable {
        virtualisation = {
          useNixStoreImage = true;
          mountHostNixStore = false;
          writableStore = true;
          # The shares `xchg` and `shared` of qemu-vm.nix are 9p as well.
          sharedDirectories = lib.mkForce { };
          emptyDiskImages = mkIf (cfg.snapshot.stateDiskMiB != null) [ cfg.snapshot.stateDiskMiB ];
        };
      }
    ))
  ]);
}

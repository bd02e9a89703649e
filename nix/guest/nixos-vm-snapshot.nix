# The same VM for qmpilot: it can be saved, and has console shells.
{
  imports = [
    ./nixos-vm.nix
    ../modules/qmpilot.nix
  ];

  qmpilot = {
    enable = true;
    snapshot.enable = true;
    hungTask = {
      timeout = 10;
      checkInterval = 5;
    };
  };
  reproducer.autostart = false;

  # A program types faster than a person: tmux must not take its keys for a paste.
  programs.tmux.extraConfig = "set -g assume-paste-time 0";
}

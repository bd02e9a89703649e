# The same, as qmpilot likes it best: it can be saved, and its console shells answer.
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

  # Keys that come in one go are keys all the same: what drives this guest types faster than a person.
  programs.tmux.extraConfig = "set -g assume-paste-time 0";
}

# The same, as qmpilot likes it best: it can be saved, and answers out of band.
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
}

# The VM of the bug report: nix run .#nixosConfigurations.nixos-vm.config.system.build.vm
{ modulesPath, ... }:
{
  imports = [
    "${modulesPath}/virtualisation/qemu-vm.nix"
    ./reproducer.nix
  ];

  virtualisation = {
    cores = 4;
    graphics = false;
    # The root file system is a tmpfs.
    diskImage = null;
  };
}

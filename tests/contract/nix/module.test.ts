import { describe, expect, it } from 'vitest';
import { useNix } from '../../support/nix.js';

const host = useNix();

describe('nixosModules.qmpilot', () => {
  it('changes nothing until it is enabled', async () => {
    const value = await host.nix.expression(
      'let c = nixos { }; in { inherit (c) systemd; inherit (c.boot) kernelParams kernelModules; inherit (c.boot.kernel) sysctl; user = c.services.getty.autologinUser; }',
    );
    expect(value).toEqual({
      systemd: { services: {}, tmpfiles: { rules: [] } },
      kernelParams: ['loglevel=4'],
      kernelModules: [],
      sysctl: {},
      user: null,
    });
  });

  it('works without qemu-vm.nix, and lets the configuration have the last word', async () => {
    const value = await host.nix.expression(
      'let c = nixos { qmpilot.enable = true; qmpilot.shell.consoles = [ "hvc3" ]; boot.consoleLogLevel = 3; boot.kernel.sysctl."kernel.sysrq" = 0; services.getty.autologinUser = "ann"; }; in { units = builtins.attrNames c.systemd.services; level = c.boot.consoleLogLevel; inherit (c.boot.kernel) sysctl; user = c.services.getty.autologinUser; }',
    );
    expect(value).toEqual({
      units: ['qmpilot-shell-hvc3', 'serial-getty@hvc3'],
      level: 3,
      sysctl: { 'kernel.sysrq': 0 },
      user: 'ann',
    });
  });

  it('has the last word on the guest agent, which qemu-vm.nix would start by itself', async () => {
    const agent = (more: string) =>
      host.nix.expression(
        `(nixos { imports = [ (flake + "/tests/nix/nixpkgs/nixos/modules/virtualisation/qemu-vm.nix") ]; qmpilot.enable = true; ${more} }).services.qemuGuest.enable`,
      );
    expect(await agent('')).toBe(true);
    expect(await agent('qmpilot.guestAgent = false;')).toBe(false);
  });

  it('gives the VM a pvpanic device but loads no module for it, since kernels of NixOS have none', async () => {
    const vm = async (more: string) =>
      host.nix.expression(
        `let c = nixos { imports = [ (flake + "/tests/nix/nixpkgs/nixos/modules/virtualisation/qemu-vm.nix") ]; qmpilot.enable = true; ${more} }; in { inherit (c.virtualisation.qemu) options; inherit (c.boot) kernelModules; }`,
      );
    expect(await vm('')).toEqual({
      options: expect.arrayContaining(['-device pvpanic-pci']),
      kernelModules: [],
    });
    expect(await vm('qmpilot.pvpanic = false;')).toEqual({
      options: expect.not.arrayContaining([expect.stringContaining('pvpanic')]),
      kernelModules: [],
    });
  });

  it('leaves snapshots to the VM beside a configuration without qemu-vm.nix', async () => {
    const value = await host.nix.expression(
      'let c = nixos { options.virtualisation.vmVariant = lib.mkOption { type = lib.types.anything; default = { }; }; config.qmpilot = { enable = true; snapshot.enable = true; }; }; in builtins.attrNames c.system.build.units',
    );
    expect(value).toEqual(['qmpilot-shell-hvc0', 'qmpilot-shell-hvc1', 'serial-getty@hvc0', 'serial-getty@hvc1']);
  });

  it.each([
    [
      'a console that is none',
      'qmpilot.shell.consoles = [ "ttyS0" ];',
      /qmpilot\.shell\.consoles\.\*' is not of type `string matching/,
    ],
    [
      'a timeout of 0',
      'qmpilot.hungTask.timeout = 0;',
      /qmpilot\.hungTask\.timeout' is not of type `null or positive integer'/,
    ],
    [
      'a level beyond 8',
      'qmpilot.consoleLogLevel = 9;',
      /qmpilot\.consoleLogLevel' is not of type `null or integer between 0 and 8'/,
    ],
    ['a text for a switch', 'qmpilot.snapshot.enable = "yes";', /qmpilot\.snapshot\.enable' is not of type `boolean'/],
    [
      'an option that does not exist',
      'qmpilot.snapshots.enable = true;',
      /The option `qmpilot\.snapshots' does not exist/,
    ],
    [
      'snapshots without a VM',
      'qmpilot.snapshot.enable = true;',
      /needs virtualisation\/qemu-vm\.nix among the imports/,
    ],
    [
      'an interval without a timeout',
      'qmpilot.hungTask.checkInterval = 5;',
      /checkInterval needs qmpilot\.hungTask\.timeout/,
    ],
  ])('refuses %s', async (_what, text, message) => {
    await expect(
      host.nix.expression(
        `(nixos { qmpilot.enable = true; ${text} }).system.build.units // { c = (nixos { qmpilot.enable = true; ${text} }).qmpilot; }`,
      ),
    ).rejects.toThrow(message);
  });
});

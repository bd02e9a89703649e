import { describe, expect, it } from 'vitest';
import type { MachineSpec } from '../../qemu/command-line/machine-spec.js';
import { chooseStrategy } from './strategy.js';

function machine(
  extra: readonly string[] = [],
  ram: MachineSpec['ram'] = { kind: 'file', path: '/ram', share: true },
): MachineSpec {
  return {
    accelerator: 'tcg',
    machine: 'q35',
    cpu: 'max',
    cpus: 1,
    memoryMiB: 64,
    ram,
    disks: [],
    virtioConsoles: [],
    network: 'none',
    extra,
  };
}

describe('the choice of a strategy', () => {
  it('is the template where RAM is a file, and the file where it is not', () => {
    expect(chooseStrategy(machine(), undefined).strategy).toBe('template');
    expect(chooseStrategy(machine([], { kind: 'anonymous' }), undefined).strategy).toBe('file');
  });

  it.each([
    ['-netdev', 'user,id=n,hostfwd=tcp::2222-:22'],
    ['-device', 'vfio-pci,host=01:00.0'],
    ['-device', 'usb-host,vendorid=1'],
    ['-netdev', 'tap,id=n,fd=7'],
    ['-serial', 'tcp::4444,server=on,wait=off'],
    ['-chardev', 'socket,id=c,path=/tmp/c,server=on'],
  ])('stays in the one QEMU that may have %s %s', (...extra) => {
    expect(chooseStrategy(machine(extra), undefined)).toMatchObject({
      strategy: 'internal',
      reason: expect.stringContaining('second QEMU'),
    });
  });

  it('stays in the one QEMU that a script or another program started, where a second one cannot have what it has', () => {
    const obstacles = [{ reason: 'it has a port', remedy: 'none' }];
    const readBack = {
      arguments: [],
      cwd: '/',
      ram: { id: 'pc.ram', bytes: 1 },
      drives: [],
      obstacles,
      console: 'serial' as const,
      overrides: [],
    };
    expect(chooseStrategy({ ...machine(), readBack }, undefined)).toEqual({
      strategy: 'internal',
      reason: 'this machine cannot be started a second time: it has a port',
    });
    expect(chooseStrategy({ ...machine(), readBack: { ...readBack, obstacles: [] } }, undefined).strategy).toBe(
      'template',
    );
  });

  it('is not misled by other arguments', () => {
    for (const argument of ['-device', 'virtio-net-pci,netdev=net0', 'usb-tablet', '-cpu', 'max']) {
      expect(chooseStrategy(machine([argument]), undefined).strategy).toBe('template');
    }
  });

  it('takes what was asked for', () => {
    expect(chooseStrategy(machine(), 'internal')).toEqual({ strategy: 'internal', reason: 'requested' });
  });
});

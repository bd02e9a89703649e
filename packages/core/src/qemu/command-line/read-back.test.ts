import { describe, expect, it } from 'vitest';
import { readBackFrom, specOf, type Inspection } from './inspect.js';
import type { MachineSpec, StartSpec } from './machine-spec.js';
import { formatArguments, parseArguments, parseOption } from './options.js';
import { readBackArguments, hasSerialPort } from './read-back.js';

const START: StartSpec = {
  name: 'fork',
  version: { major: 9, minor: 0 },
  fds: { qmp: 3, serial: 4, virtio: [5], agent: 6 },
  incoming: true,
};
const INSPECTION: Inspection = {
  accelerator: 'tcg',
  machine: 'pc-i440fx-9.0',
  cpus: 4,
  memoryMiB: 1024,
  ram: { ids: ['pc.ram'], bytes: 1 << 30 },
  disks: [
    { id: 'drive1', file: '/tmp/vm/run0/store.img', format: 'raw', node: '#block1' },
    { id: 'pflash0', file: '/nix/store/x/OVMF_CODE.fd', format: 'raw', readOnly: true, node: '#block2' },
    { id: 'pflash1', file: 'efi-vars.fd', format: 'raw', node: '#block3' },
  ],
};
/** As a NixOS 24.05 start script with a store image, EFI and a few options of its own hands it to QEMU. */
const SCRIPT =
  '-machine accel=kvm:tcg -cpu max -name nixos -m 1024 -smp 4 -device virtio-rng-pci -net nic,netdev=user.0,model=virtio -netdev user,id=user.0,restrict=on ' +
  '-drive file=/tmp/vm/run0/store.img,format=raw,id=drive1,if=none,index=1 -device virtio-blk-pci,bootindex=2,drive=drive1 -device virtio-keyboard -usb ' +
  '-drive if=pflash,format=raw,unit=0,readonly=on,file=/nix/store/x/OVMF_CODE.fd -drive if=pflash,format=raw,unit=1,readonly=off,file=efi-vars.fd ' +
  '-kernel /k -initrd /i -nographic -serial file:/tmp/log -chardev socket,id=c0,path=/tmp/s,server=on -device pvpanic-pci -s';

function fork(script: string, inspection = INSPECTION): { words: string; spec: MachineSpec } {
  const started = {
    theirs: parseArguments([...script.split(' '), '-append', 'root=x console=ttyS0']),
    cwd: '/tmp/vm/run0',
    overrides: ['-machine', 'accel=tcg'],
    console: 'virtio' as const,
  };
  const { readBack, disks } = readBackFrom(started, inspection, (file) => file.startsWith('/tmp/vm/'));
  const spec = specOf(inspection, disks, readBack, { virtioConsoles: ['hvc0'], guestAgent: true });
  const overlays = spec.disks.map((disk) =>
    disk.readOnly ? disk : { id: disk.id, file: `/fork/${disk.id}.qcow2`, format: 'qcow2' as const },
  );
  const forked: MachineSpec = { ...spec, disks: overlays, ram: { kind: 'file', path: '/ram', share: false } };
  return { words: readBackArguments(forked, readBack, START).join(' '), spec };
}

describe("a fork of a script's machine", () => {
  it('has its devices in their order, overlays in place of its disks, the RAM file under the name that the state has, and our channels', () => {
    expect(fork(SCRIPT).words).toBe(
      '-machine accel=kvm:tcg -cpu max -name nixos -m 1024 -smp 4 -device virtio-rng-pci -net nic,netdev=user.0,model=virtio -netdev user,id=user.0,restrict=on ' +
        '-drive id=drive1,if=none,index=1,file=/fork/qmpilot-drive1.qcow2,format=qcow2,node-name=qmpilot-drive1 -device virtio-blk-pci,bootindex=2,drive=drive1 -device virtio-keyboard -usb ' +
        '-drive if=pflash,format=raw,unit=0,readonly=on,file=/nix/store/x/OVMF_CODE.fd ' +
        '-drive if=pflash,unit=1,readonly=off,file=/fork/qmpilot-pflash1.qcow2,format=qcow2,node-name=qmpilot-pflash1 ' +
        '-nographic -serial null -chardev null,id=c0 -device pvpanic-pci ' +
        '-object memory-backend-file,id=pc.ram,size=1073741824,mem-path=/ram,share=off,readonly=on,rom=off -machine memory-backend=pc.ram -machine accel=tcg ' +
        '-S -display none -monitor none -action panic=none -chardev socket,id=qmpilot-qmp,fd=3 -qmp chardev:qmpilot-qmp ' +
        '-chardev socket,id=qmpilot-serial,fd=4 -device virtio-serial-pci,id=qmpilot-consoles ' +
        '-chardev socket,id=qmpilot-hvc0,fd=5 -device virtconsole,chardev=qmpilot-hvc0,bus=qmpilot-consoles.0 ' +
        '-device virtconsole,chardev=qmpilot-serial,bus=qmpilot-consoles.0 ' +
        '-chardev socket,id=qmpilot-agent,fd=6 -device virtserialport,chardev=qmpilot-agent,bus=qmpilot-consoles.0,name=org.qemu.guest_agent.0 -incoming defer',
    );
  });

  it('takes the place of a memory backend of the script, and keeps the name of its own block node', () => {
    const { words } = fork(
      '-object memory-backend-memfd,id=mem0,size=1G,share=on -machine memory-backend=mem0 -blockdev qcow2,node-name=d0,file.driver=file,file.filename=/tmp/vm/a.qcow2 -device virtio-blk-pci,drive=d0',
      {
        ...INSPECTION,
        ram: { ids: ['mem0'], bytes: 1 << 30 },
        disks: [{ id: 'd0', file: '/tmp/vm/a.qcow2', format: 'qcow2', node: 'd0' }],
      },
    );
    expect(words).not.toContain('memory-backend-memfd');
    expect(words).toContain('-object memory-backend-file,id=mem0,');
    expect(words).toMatch(
      /-blockdev \S*node-name=d0,driver=qcow2,file\.driver=file,file\.filename=\/fork\/d0\.qcow2 -device virtio-blk-pci,drive=d0/,
    );
  });

  it('knows which disks were made for this VM, and finds those named by a relative path', () => {
    const { spec } = fork(SCRIPT.replace('efi-vars.fd ', '/home/ann/vars.fd '), {
      ...INSPECTION,
      disks: [...INSPECTION.disks.slice(0, 2), { id: 'pflash1', file: '/home/ann/vars.fd', format: 'raw' }],
    });
    expect(spec.disks.map(({ file, foreign }) => [file, foreign])).toEqual([
      ['/tmp/vm/run0/store.img', undefined],
      ['/nix/store/x/OVMF_CODE.fd', true],
      ['/home/ann/vars.fd', true],
    ]);
    expect(fork(SCRIPT).spec.disks[2]?.file).toBe('/tmp/vm/run0/efi-vars.fd');
  });

  it.each([
    [
      'a TPM',
      '-chardev socket,id=chrtpm,path=/x -tpmdev emulator,id=tpm_dev_0,chardev=chrtpm -device tpm-tis,tpmdev=tpm_dev_0',
      /swtpm.*tpm\.enable = false/,
    ],
    [
      'a virtiofs share',
      '-chardev socket,id=fs0,path=/x -device vhost-user-fs-pci,chardev=fs0,tag=src',
      /virtiofs share 'src'.*one QEMU alone/,
    ],
    ['a port of the host', '-netdev user,id=n,hostfwd=tcp::2222-:22', /hostfwd=tcp::2222-:22.*forwardPorts/],
    ['a device of the host', '-device vfio-pci,host=01:00.0', /device of the host \(vfio-pci\)/],
    ['-snapshot', '-snapshot', /-snapshot/],
    ['a disk of another form', '-hda /tmp/vm/run0/store.img', /drive1.*not given by -drive/],
  ])('is refused for %s, with the reason', (_what, extra, message) => {
    const script = extra.startsWith('-hda') ? extra : `${SCRIPT} ${extra}`;
    expect(
      fork(script)
        .spec.readBack?.obstacles.map(({ reason, remedy }) => `${reason}: ${remedy}`)
        .join(),
    ).toMatch(message);
  });

  it('has no obstacle otherwise', () => {
    expect(fork(SCRIPT).spec.readBack?.obstacles).toEqual([]);
  });
});

describe('the arguments of a running QEMU', () => {
  it('are the same words again when they are put together', () => {
    const words = [...SCRIPT.split(' '), 'disk.img', '--daemonize', '-append', 'a -b c'];
    expect(formatArguments(parseArguments(words)).map((word) => word.replace(/^--/, '-'))).toEqual(
      words.map((word) => word.replace(/^--/, '-')),
    );
  });

  it('have values in which two commas are one', () => {
    expect(parseOption('file=/a,,b,if=none,snapshot')).toEqual([
      ['file', '/a,b'],
      ['if', 'none'],
      ['snapshot', undefined],
    ]);
  });

  it('tell whether ttyS0 is taken', () => {
    expect(hasSerialPort(parseArguments('-nographic -serial none'.split(' ')))).toBe(false);
    expect(hasSerialPort(parseArguments('-nographic -serial mon:stdio'.split(' ')))).toBe(true);
  });
});

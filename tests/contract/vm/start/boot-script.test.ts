import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { boot, nixos, type Vm } from '@qmpilot/core';
import { describe, expect, it } from 'vitest';
import { createOverlay } from '../../../../packages/core/src/snapshot/strategies/overlay.js';
import { dir, DRIVE, QEMU, script, started } from '../../../support/start-script.js';

describe('nixos({ script })', () => {
  it('calls the script by its own interface: private folders, exact arguments, and the environment that the user set', async () => {
    const seen = join(dir, 'environment');
    const path = script(`env > ${seen}`, 'pwd >> ' + seen, `${QEMU} $QEMU_OPTS "$@"`);
    const commandLine = await started(
      nixos({
        script: path,
        memoryMiB: 96,
        kernelParameters: ['quiet'],
        env: { QEMU_OPTS: '-device pvpanic-pci', QEMU_KERNEL_PARAMS: 'a=1', SHARED_DIR: '/x' },
      }),
      (vm) => vm.facts.commandLine,
    );
    const environment = readFileSync(seen, 'utf8');
    expect(environment).toMatch(/^TMPDIR=\S+\/script-\w+\/run0$/m);
    for (const line of ['USE_TMPDIR=1', 'QEMU_KERNEL_PARAMS=a=1 quiet qmpilot.driven=1', 'SHARED_DIR=/x'])
      expect(environment.split('\n')).toContain(line);
    expect(commandLine.join(' ')).toMatch(/-m 64 -nographic -device pvpanic-pci -m 96 -S -display none .*fd=3/);
    expect(existsSync(/^TMPDIR=(\S+)$/m.exec(environment)?.[1] ?? '')).toBe(false);
  });

  it("leaves the script's own serial port, monitor and agent port alone, and adds the guest's console behind them", async () => {
    const log = join(dir, 'their-serial.log');
    const seen = join(dir, 'parameters');
    const path = script(
      `echo "$QEMU_KERNEL_PARAMS" >> ${seen}`,
      `${QEMU} -serial file:${log} -monitor unix:${dir}/hmp,server=on,wait=off -device virtio-serial-pci,id=v -chardev null,id=a -device virtserialport,bus=v.0,chardev=a,name=org.qemu.guest_agent.0 "$@"`,
    );
    const { chardevs, agents } = await started(nixos({ script: path }), async (vm) => ({
      chardevs: await vm.qmp.executeUntyped<{ label: string; filename: string }[]>('query-chardev'),
      agents: vm.facts.commandLine.filter((word) => word.includes('org.qemu.guest_agent.0')).length,
    }));
    expect(chardevs).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ label: 'serial0', filename: `file` }),
        expect.objectContaining({ label: 'qmpilot-serial' }),
        expect.objectContaining({ label: 'compat_monitor0', filename: expect.stringContaining(`unix:${dir}/hmp`) }),
      ]),
    );
    expect(agents).toBe(1);
    expect(readFileSync(seen, 'utf8').trim().split('\n').at(-1)).toBe(
      'qmpilot.driven=1 console=hvc4 systemd.wants=serial-getty@hvc4.service',
    );
  });

  it('never writes to a disk image of its options or of the script: each VM has an overlay, also two at once', async () => {
    const image = join(dir, 'mine.qcow2');
    const base = join(dir, 'base.raw');
    writeFileSync(base, Buffer.alloc(1 << 20));
    await createOverlay({ file: base, format: 'raw' }, image);
    const before = readFileSync(image);
    const path = script(`${QEMU} ${DRIVE} "$@"`);
    const baked = script(`${QEMU} ${DRIVE.replace('./nixos.qcow2', image)} "$@"`);
    const backing = (vm: Vm) =>
      vm.qmp
        .executeUntyped<{ device: string; inserted?: { backing_file?: string } }[]>('query-block')
        .then((blocks) => blocks.find(({ device }) => device === 'drive1')?.inserted?.backing_file);
    await started(nixos({ script: path, diskImage: image }), async (vm) => {
      expect(await backing(vm)).toBe(image);
      expect(await started(nixos({ script: path, diskImage: image }), backing)).toBe(image);
      expect(await started(nixos({ script: path, env: { NIX_DISK_IMAGE: image } }), backing)).toBe(image);
    });
    expect(await started(nixos({ script: baked }), backing)).toBe(image);
    expect(readFileSync(image).equals(before)).toBe(true);
  });

  it.each([
    [
      'QEMU ended under KVM',
      [
        'case "$*" in *accel=tcg*) ;; *) echo "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69" >&2; exit 134 ;; esac',
        `${QEMU.replace('accel=tcg', 'accel=kvm:tcg')} "$@"`,
      ],
    ],
    ['the disk image of the script gets an overlay', [`${QEMU} ${DRIVE.replace('./nixos.qcow2', '$ROOT_IMAGE')} "$@"`]],
  ])('leaves no image of the store behind from a start that was corrected: %s', async (_, lines) => {
    const image = join(dir, 'root-of-the-script.qcow2');
    if (!existsSync(image)) {
      writeFileSync(`${image}.raw`, Buffer.alloc(1 << 20));
      await createOverlay({ file: `${image}.raw`, format: 'raw' }, image);
    }
    const starts = join(dir, `starts-${lines.length}`);
    const path = script('echo "$TMPDIR" >> ' + starts, 'head -c 65536 /dev/zero > "$TMPDIR"/store.img', ...lines);
    const folders = () => readFileSync(starts, 'utf8').trim().split('\n');
    const images = await started(nixos({ script: path, env: { ROOT_IMAGE: image } }), () =>
      folders().map((folder) => existsSync(join(folder, 'store.img'))),
    );
    expect(folders().map((folder) => folder.replace(/.*\//, ''))).toEqual(['run0', 'run1']);
    expect(images).toEqual([false, true]);
    expect(folders().filter((folder) => existsSync(folder))).toEqual([]);
  });

  it('continues with TCG where QEMU ends under KVM, unless KVM was requested', async () => {
    const dies =
      'case "$*" in *accel=tcg*) ;; *) echo "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69" >&2; exit 134 ;; esac';
    const host =
      'case "$*" in *"-cpu max"*) ;; *) echo "qemu-system-x86_64: CPU model \'host\' requires KVM or HVF" >&2; exit 1 ;; esac';
    const path = script(dies, host, `${QEMU.replace('accel=tcg', 'accel=kvm:tcg')} "$@"`);
    expect(await started(nixos({ script: path }), (vm) => vm.facts.accelerator)).toMatchObject({
      accelerator: 'tcg',
      reason: 'QEMU ended under KVM: qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69',
    });
    await expect(boot(nixos({ script: path }), { accelerator: 'kvm' })).rejects.toMatchObject({
      code: 'QEMU_START',
      message: expect.stringMatching(/failed to set MSR/),
    });
  });

  it('works in folders whose names have spaces and commas where the script quotes them, and explains the error of one that does not', async () => {
    const parent = join(dir, 'a folder, of mine');
    mkdirSync(parent);
    const image = join(parent, 'read only');
    mkdirSync(image);
    writeFileSync(join(image, 'root.raw'), Buffer.alloc(1 << 20));
    chmodSync(image, 0o555);
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = parent;
    try {
      const quoting = script(
        `export TMPDIR; ${QEMU} -drive "file=$(echo "$NIX_DISK_IMAGE" | sed s/,/,,/g),format=qcow2,if=virtio" "$@"`,
      );
      const { status } = await started(nixos({ script: quoting, diskImage: join(image, 'root.raw') }), async (vm) => {
        expect(vm.facts.commandLine.join(' ')).toContain('a folder,, of mine');
        await vm.snapshot('one');
        await vm.restore('one');
        return vm.qmp.execute('query-status');
      });
      expect(status).toBe('running');
      const careless = script(
        'cd "$TMPDIR"; qemu-img create -q -f qcow2 empty0.qcow2 1M',
        `${QEMU} -drive file=$(pwd)/empty0.qcow2,id=drive2,if=none "$@"`,
      );
      await expect(boot(nixos({ script: careless }))).rejects.toMatchObject({
        code: 'QEMU_START',
        hint: expect.stringMatching(/there is a space in .*a folder, of mine.* set TMPDIR/),
      });
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
      chmodSync(image, 0o755);
    }
  });
});

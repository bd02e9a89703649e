import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, nixos, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOverlay } from '../../../../packages/core/src/snapshot/strategies/overlay.js';
import { leftovers, leftoversSince } from '../../../support/leftovers.js';
import { qemuBinary } from '../../../support/qmp-harness.js';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-script-test-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let count = 0;
/** A start script of these lines. */
function script(...lines: readonly string[]): string {
  const path = join(dir, `run-test${(count += 1)}-vm`);
  writeFileSync(path, `#!/bin/bash\nset -e\n${lines.join('\n')}\n`, { mode: 0o755 });
  return path;
}

const QEMU = `exec ${qemuBinary()} -machine accel=tcg -m 64 -nographic`;
const DRIVE =
  '-drive file="$(readlink -f "${NIX_DISK_IMAGE:-./nixos.qcow2}")",id=drive1,if=none,format=qcow2 -device virtio-blk-pci,drive=drive1,serial=root';

/** Boots until QEMU is there and paused, hands it to `look`, and ends it: these guests have no system. */
async function started<T>(description: Parameters<typeof boot>[0], look: (vm: Vm) => T | Promise<T>): Promise<T> {
  const over = new AbortController();
  let result: { value: T } | undefined;
  let failure: unknown;
  const booting = boot(description, {
    signal: over.signal,
    onStart: (vm) => {
      void Promise.resolve()
        .then(() => look(vm))
        .then(
          (value) => (result = { value }),
          (error: unknown) => (failure = error),
        )
        .finally(() => over.abort());
    },
  });
  await booting.catch((error: unknown) => {
    if (!over.signal.aborted) throw error;
  });
  if (!result) throw failure;
  return result.value;
}

describe('nixos({ script })', () => {
  it('calls it by its own interface: private folders, arguments to the word, and what the user set in the environment', async () => {
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

  it('never writes a disk image that is named for it, or that the script names: each VM has an overlay, also two at once', async () => {
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

  it('says that another QEMU holds the disk image', async () => {
    const image = join(dir, 'held.raw');
    writeFileSync(image, Buffer.alloc(1 << 20));
    const holder = spawn(
      qemuBinary(),
      [
        '-nodefaults',
        '-display',
        'none',
        '-S',
        '-machine',
        'accel=tcg',
        '-monitor',
        'stdio',
        '-drive',
        `file=${image},format=raw,if=virtio`,
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    try {
      await once(holder.stdout, 'data');
      const path = script(`${QEMU} ${DRIVE} "$@"`);
      await expect(boot(nixos({ script: path, diskImage: image }))).rejects.toMatchObject({
        code: 'QEMU_START',
        message: expect.stringMatching(/lock/),
        hint: expect.stringMatching(/another QEMU uses a disk image/),
      });
    } finally {
      holder.kill('SIGKILL');
      await once(holder, 'exit');
    }
  });

  it('says that a virtiofs share keeps the VM from being saved, in whichever way, and how to fix it', async () => {
    // Debian's virtiofsd wants to be root, in a namespace of its own at least.
    const asRoot =
      process.getuid?.() === 0
        ? ''
        : `unshare --map-root-user --mount sh -c 'mount -t tmpfs run /run && exec "$@"' sh `;
    const path = script(
      'mkdir "$TMPDIR/share"',
      `${asRoot}/usr/lib/qemu/virtiofsd --socket-path="$TMPDIR/fs" -o source="$TMPDIR/share" -o sandbox=chroot > /dev/null 2>&1 &`,
      'until [ -S "$TMPDIR/fs" ]; do sleep 0.05; done',
      `${QEMU} -object memory-backend-memfd,id=memory,size=64M,share=on -machine memory-backend=memory -chardev socket,id=fs,path="$TMPDIR/fs" -device vhost-user-fs-pci,chardev=fs,tag=src "$@"`,
    );
    await started(nixos({ script: path }), async (vm) => {
      const ofQemu = {
        reason: expect.stringMatching(/^non-migratable device: .*\/vhost-user-fs$/),
        remedy: expect.stringMatching(/leave the virtiofs share out of the guest.*qmpilot\.snapshot\.enable = true/),
      };
      expect(await vm.snapshotBlockers({ strategy: 'internal' })).toContainEqual(ofQemu);
      expect(await vm.snapshotBlockers({ strategy: 'file' })).toEqual([
        ofQemu,
        {
          reason: expect.stringMatching(/virtiofs share 'src'\) is served by a process outside of QEMU/),
          remedy: expect.stringMatching(/leave that share/),
        },
      ]);
      await expect(vm.snapshot('refused')).rejects.toMatchObject({
        code: 'SNAPSHOT',
        message: expect.stringMatching(/cannot be saved: non-migratable device/),
        hint: expect.stringMatching(/virtiofs share/),
      });
    });
  });

  it('continues under TCG where QEMU does not live under KVM, unless KVM was asked for', async () => {
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

  it('says that a fork can have no overlay of a disk in a format that is neither qcow2 nor raw', async () => {
    execFileSync('qemu-img', ['create', '-q', '-f', 'vmdk', join(dir, 'their.vmdk'), '1M']);
    await started(
      nixos({ script: script(`${QEMU} -drive file=${dir}/their.vmdk,if=virtio,id=their "$@"`) }),
      async (vm) => {
        expect(await vm.snapshotBlockers({ strategy: 'file' })).toContainEqual({
          reason: expect.stringMatching(/their\.vmdk\) is of the format vmdk/),
          remedy: expect.stringMatching(/convert/),
        });
        await expect(vm.snapshot('refused', { strategy: 'file' })).rejects.toMatchObject({
          code: 'SNAPSHOT',
          message: expect.stringMatching(/vmdk/),
        });
      },
    );
  });

  it('says that a forwarded port of the host belongs to one QEMU, before a second one is started', async () => {
    const path = script(`${QEMU} -netdev user,id=user.0,"$QEMU_NET_OPTS" -device virtio-net-pci,netdev=user.0 "$@"`);
    await started(nixos({ script: path, env: { QEMU_NET_OPTS: 'hostfwd=tcp:127.0.0.1:0-:22' } }), async (vm) => {
      expect(await vm.snapshotBlockers({ strategy: 'file' })).toEqual([
        {
          reason: expect.stringMatching(/^it has a port of the host \(hostfwd=tcp:127\.0\.0\.1:0-:22\)/),
          remedy: expect.stringMatching(/QEMU_NET_OPTS/),
        },
      ]);
      await expect(vm.snapshot('refused', { strategy: 'file' })).rejects.toMatchObject({
        code: 'SNAPSHOT',
        message: expect.stringMatching(/cannot be restored in another QEMU: it has a port of the host/),
      });
      await expect(vm.snapshot('refused')).rejects.toMatchObject({
        code: 'SNAPSHOT',
        message: expect.stringMatching(/needs a writable qcow2 disk/),
        hint: expect.stringMatching(/stateDiskMiB.*hostfwd/),
      });
    });
  });

  it.each([
    [
      'a script that exits at once',
      () => script('echo "no such store path" >&2', 'exit 3'),
      'QEMU_START',
      /exited with status 3.*no such store path/,
    ],
    ['a script that exits in silence', () => script('exit 0'), 'QEMU_START', /exited with status 0 before/],
    ['a QEMU that refuses its options', () => script(`${QEMU} -device teapot "$@"`), 'QEMU_START', /teapot/],
    [
      'a script that keeps our arguments',
      () => script(`${QEMU} "$@" -name other`),
      'USAGE',
      /does not hand its arguments on/,
    ],
    [
      'a script that gives QEMU nothing of us',
      () => script(`${QEMU} -display none -S -monitor none -serial null`),
      'USAGE',
      /does not hand its arguments on/,
    ],
    [
      'a script that runs QEMU as a child without our arguments',
      () => script(`${QEMU.replace('exec ', '')} -display none -S -monitor none -serial null`, 'true'),
      'USAGE',
      /does not hand its arguments on/,
    ],
    [
      'a script that does not exec QEMU',
      () => script(`${QEMU.replace('exec ', '')} "$@"`, 'true'),
      'USAGE',
      /runs QEMU as a child/,
    ],
    [
      'an -accel that this host may not have',
      () => script(`${QEMU.replace('-machine accel=tcg', '-accel tcg')} "$@"`),
      undefined,
      undefined,
    ],
  ])('meets %s', async (_what, make, code, message) => {
    const before = leftovers();
    if (code === undefined) {
      expect(await started(nixos({ script: make() }), (vm) => vm.facts.accelerator.accelerator)).toBe('tcg');
    } else {
      await expect(boot(nixos({ script: make() }))).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message ?? /./),
      });
    }
    expect(leftoversSince(before)).toEqual([]);
  });

  it('ends what the script runs, deaf to SIGTERM as it may be, when it is given up', async () => {
    const before = leftovers();
    const path = script("trap '' TERM", 'echo building >&2', 'sleep 1234');
    const over = new AbortController();
    await expect(
      boot(nixos({ script: path }), {
        signal: over.signal,
        onProgress: (line) => line.includes('building') && over.abort(),
      }),
    ).rejects.toMatchObject({ code: 'ABORTED' });
    expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toMatch(/^sleep 1234$/m);
    expect(leftoversSince(before)).toEqual([]);
  });

  it('works in folders whose names have spaces and commas, by scripts that quote them; of those that do not it says what is wrong', async () => {
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

  it('refuses what is not a script, before anything is started', async () => {
    mkdirSync(join(dir, 'result/bin'), { recursive: true });
    writeFileSync(join(dir, 'result/bin/hello'), '', { mode: 0o755 });
    writeFileSync(join(dir, 'plain'), '');
    const refused = (options: Parameters<typeof nixos>[0]) => expect(boot(nixos(options))).rejects;
    await refused({ script: join(dir, 'none') }).toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/no start script at/),
    });
    await refused({ script: join(dir, 'result') }).toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/has no bin\/run-\*-vm \(it has hello\)/),
    });
    await refused({ script: join(dir, 'plain') }).toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/not executable/),
    });
    await refused({ script: script('exit 0'), env: { NIX_EFI_VARS: join(dir, 'none.fd') } }).toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/file of EFI variables .* cannot be read/),
    });
    await refused({ script: script('exit 0'), diskImage: join(dir, 'none.qcow2') }).toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/disk image .* cannot be read/),
    });
    const both: unknown = { flake: '.', attribute: 'x', script: 'y' };
    expect(() => nixos(both as Parameters<typeof nixos>[0])).toThrow(
      /either a flake with an attribute, or a finished script/,
    );
  });
});

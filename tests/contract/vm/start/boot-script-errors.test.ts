import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { boot, nixos } from '@qmpilot/core';
import { describe, expect, it } from 'vitest';
import { leftovers, leftoversSince } from '../../../support/leftovers.js';
import { qemuBinary } from '../../../support/qmp-harness.js';
import { dir, DRIVE, QEMU, script, started } from '../../../support/start-script.js';

describe('errors of nixos({ script })', () => {
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
      /does not pass its arguments to QEMU/,
    ],
    [
      'a script that passes none of our arguments to QEMU',
      () => script(`${QEMU} -display none -S -monitor none -serial null`),
      'USAGE',
      /does not pass its arguments to QEMU/,
    ],
    [
      'a script that runs QEMU as a child without our arguments',
      () => script(`${QEMU.replace('exec ', '')} -display none -S -monitor none -serial null`, 'true'),
      'USAGE',
      /does not pass its arguments to QEMU/,
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
  ])('handles %s', async (_what, make, code, message) => {
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

  it('ends what the script runs when the boot is cancelled, also what ignores SIGTERM', async () => {
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

  it('refuses a path that is not a start script, before anything is started', async () => {
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

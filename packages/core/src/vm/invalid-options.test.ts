import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { direct } from '../guests/direct.js';
import { nixos } from '../guests/nixos/nixos.js';
import { SnapshotStore } from '../snapshot/store.js';
import { validate } from '../util/validation/validate.js';
import { POWEROFF_OPTIONS } from './power/poweroff-options.js';
import { debian } from './setup/debian.js';
import { FORK_OPTIONS, RESTORE_OPTIONS, SNAPSHOT_OPTIONS } from './snapshots/options.js';
import { attach } from './start/attach.js';
import { boot } from './start/boot.js';
import { openSnapshot } from './start/open-snapshot.js';

const dir = mkdtempSync(join(tmpdir(), 'qmpilot-options-'));
const started = join(dir, 'started');
// A QEMU that tells when it was run: no call with an invalid option may come so far.
writeFileSync(join(dir, 'qemu'), `#!/bin/sh\n: > ${started}\nexit 1\n`, { mode: 0o755 });
writeFileSync(join(dir, 'disk'), '');
vi.stubEnv('QMPILOT_QEMU', join(dir, 'qemu'));
afterAll(() => rmSync(dir, { recursive: true }));

/** Values that the types refuse, as JavaScript may pass them. */
const any = (value: unknown): never => value as never;
const disk = { id: 'a', file: join(dir, 'disk'), format: 'raw' } as const;
const guest = direct({ disks: [disk] });

describe('invalid arguments are refused by name, before QEMU starts', () => {
  it.each<[string, () => unknown, string | RegExp]>([
    ['debian({ memory })', () => debian(any({ memory: 2048 })), 'debian: options.memory: unknown option'],
    [
      'debian({ network })',
      () => debian(any({ network: 'bridge' })),
      /^debian: options\.network: expected "none" or .*, got "bridge"$/,
    ],
    [
      'debian({ setup: { run } })',
      () => debian(any({ setup: { run: () => Promise.resolve() } })),
      'debian: options.setup.name: required',
    ],
    [
      'debian({ setup: { name } })',
      () => debian(any({ setup: { name: '../x', run: () => Promise.resolve() } })),
      /^debian: options\.setup\.name: expected a name of up to 60 .*, got "\.\.\/x"$/,
    ],
    ['debian({ setup: 5 })', () => debian(any({ setup: 5 })), /^debian: options\.setup: expected a path, got 5$/],
    ["debian('trixie')", () => debian(any('trixie')), 'debian: options: expected an object, got "trixie"'],
    ['debian(null)', () => debian(any(null)), 'debian: options: expected an object, got null'],
    ['direct(undefined)', () => direct(any(undefined)), 'direct: options: expected an object, got undefined'],
    [
      'a disk without a file',
      () => direct(any({ disks: [{ ...disk, file: undefined }] })),
      'direct: options.disks[0].file: expected a path, got undefined',
    ],
    [
      'a disk without a format',
      () => direct(any({ disks: [{ ...disk, format: undefined }] })),
      'direct: options.disks[0].format: expected "qcow2" or "raw", got undefined',
    ],
    [
      'a disk as a string',
      () => direct(any({ disks: ['a.qcow2'] })),
      'direct: options.disks[0]: expected an object, got "a.qcow2"',
    ],
    ['disks as an object', () => direct(any({ disks: {} })), 'direct: options.disks: expected an array, got an object'],
    ['two disks of one id', () => direct({ disks: [disk, disk] }), 'direct: options.disks: two disks have the id "a"'],
    [
      'a prompt as a string',
      () => direct(any({ disks: [disk], login: { prompt: '# ' } })),
      'direct: options.login.prompt: expected a regular expression, got "# "',
    ],
    [
      '10 MiB of memory',
      () => direct({ disks: [disk], memoryMiB: 10 }),
      'direct: options.memoryMiB: expected a whole number of 16 or more, got 10',
    ],
    ['nixos({ memory })', () => nixos(any({ script: 'x', memory: 1 })), 'nixos: options.memory: unknown option'],
    ['boot(debian)', () => boot(any(debian)), 'boot: guest: expected a guest, got the function debian'],
    ["boot('debian')", () => boot(any('debian')), 'boot: guest: expected a guest, got "debian"'],
    ['boot({})', () => boot(any({})), 'boot: guest: expected a guest, got an object'],
    ['boot(g, { memoryMib })', () => boot(guest, any({ memoryMib: 64 })), 'boot: options.memoryMib: unknown option'],
    [
      'boot(g, { display })',
      () => boot(guest, any({ display: 'gtk' })),
      'boot: options.display: expected "none" or "std", got "gtk"',
    ],
    [
      'boot(g, { accelerator })',
      () => boot(guest, any({ accelerator: 'xen' })),
      /^boot: options\.accelerator: expected .*, got "xen"$/,
    ],
    [
      'boot(g, { timeout: null })',
      () => boot(guest, any({ timeout: null })),
      /^boot: options\.timeout: expected a duration.*, got null$/,
    ],
    [
      'boot(g, { timeout: Infinity })',
      () => boot(guest, { timeout: Infinity }),
      /^boot: options\.timeout: .*, got Infinity$/,
    ],
    [
      'boot(g, { timeout: "5 parsecs" })',
      () => boot(guest, { timeout: '5 parsecs' }),
      /^boot: options\.timeout: .*, got "5 parsecs"$/,
    ],
    [
      'boot(g, { qemuArguments })',
      () => boot(guest, any({ qemuArguments: [undefined] })),
      'boot: options.qemuArguments[0]: expected a string, got undefined',
    ],
    [
      'boot(g, { cpus: 0 })',
      () => boot(guest, { cpus: 0 }),
      'boot: options.cpus: expected a whole number of 1 or more, got 0',
    ],
    [
      'boot(g, { signal: {} })',
      () => boot(guest, any({ signal: {} })),
      'boot: options.signal: expected an AbortSignal, got an object',
    ],
    [
      'openSnapshot(undefined)',
      () => openSnapshot(any(undefined)),
      'openSnapshot: path: expected a path, got undefined',
    ],
    ['attach({})', () => attach(any({})), 'attach: options.qmp: required'],
    [
      'snapshot({ strategy })',
      () => check(SNAPSHOT_OPTIONS, { strategy: 'foo' }),
      'options.strategy: expected "template" or "file" or "internal", got "foo"',
    ],
    [
      'restore({ clock })',
      () => check(RESTORE_OPTIONS, { clock: 'foo' }),
      'options.clock: expected "host", "keep" or a date, got "foo"',
    ],
    [
      'fork({ count: -1 })',
      () => check(FORK_OPTIONS, { count: -1 }),
      'options.count: expected a whole number of 0 or more, got -1',
    ],
    [
      'poweroff({ wanted })',
      () => check(POWEROFF_OPTIONS, { wanted: 'hibernate' }),
      'options.wanted: expected "poweroff" or "reboot" or "halt", got "hibernate"',
    ],
    ["snapshot('..')", () => new SnapshotStore().reserve('..'), 'invalid snapshot name ".."'],
    ["snapshot('.')", () => new SnapshotStore().reserve('.'), 'invalid snapshot name "."'],
    ['snapshot(undefined)', () => new SnapshotStore().reserve(any(undefined)), 'invalid snapshot name undefined'],
  ])('%s', async (_name, call, message) => {
    await expect((async () => call())()).rejects.toMatchObject({
      code: 'USAGE',
      message: typeof message === 'string' ? message : expect.stringMatching(message),
    });
    await expect(import('node:fs/promises').then(({ access }) => access(started))).rejects.toThrow();
  });

  it('tells which options there are, and the one that was probably meant', async () => {
    await expect(boot(guest, any({ memoryMib: 64 }))).rejects.toMatchObject({
      hint: expect.stringMatching(/^did you mean memoryMiB\? There are: signal, timeout, /),
    });
    await expect(boot(any(debian))).rejects.toMatchObject({ hint: expect.stringContaining('debian()') });
  });

  it('allows more CPUs than the host has, and options that are undefined', () => {
    expect(() => debian({ cpus: 64, defect: undefined })).not.toThrow();
    expect(() => check(RESTORE_OPTIONS, { clock: new Date() })).not.toThrow();
  });
});

it('a signal that has fired starts no QEMU', async () => {
  const signal = AbortSignal.abort();
  await expect(boot(guest, { signal })).rejects.toMatchObject({ code: 'ABORTED' });
  await expect(attach({ qmp: join(dir, 'sock'), signal })).rejects.toMatchObject({ code: 'ABORTED' });
});

function check(schema: v.GenericSchema, value: unknown): void {
  validate(schema, value, 'options');
}

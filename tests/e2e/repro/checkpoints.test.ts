import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineScenario, direct, runScenario, type AttemptRecord, type Scenario, type Vm } from '@qmpilot/core';
import { measureWhen } from '@qmpilot/core/report';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { isRoot, mountSmall, unmount } from '../../support/host-tools.js';
import { leftovers, leftoversSince } from '../../support/leftovers.js';
import { makeTinyGuest, type TinyGuest } from '../../support/tiny-guest.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

let dir: string;
let guest: TinyGuest;
let before: ReturnType<typeof leftovers>;
const mounts: string[] = [];
const ramDirectory = process.env['QMPILOT_RAM_DIR'];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-checkpoints-test-'));
  guest = await makeTinyGuest(dir);
  before = leftovers();
});
afterEach(() => {
  if (ramDirectory === undefined) delete process.env['QMPILOT_RAM_DIR'];
  else process.env['QMPILOT_RAM_DIR'] = ramDirectory;
  for (const path of mounts.splice(0)) unmount(path);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const tiny = (parts: Pick<Scenario, 'attempt'> & Partial<Scenario>) =>
  defineScenario({
    name: 'checkpoints',
    guest: direct({
      name: 'tiny',
      ...guest,
      append: 'console=ttyS0 quiet',
      cpus: 1,
      memoryMiB: 192,
      login: { prompt: /tiny# $/ },
    }),
    async prepare(vm) {
      await vm.console.type('busybox mkdir -p /tmp; busybox mount -t tmpfs -o size=120m none /tmp; echo "status $?"\n');
      await vm.console.expect(/status 0/);
    },
    ...parts,
  });

const recordsOf = (run: string) =>
  readFileSync(join(run, 'attempts.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line): AttemptRecord => JSON.parse(line));
const eventsOf = (run: string, attempt = '0001') =>
  readFileSync(join(run, 'attempts', attempt, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line): { type: string; reason?: string; mark?: string } => JSON.parse(line));

/** Changes 16 MiB of the guest's memory. */
async function writeMore(vm: Vm, number: number): Promise<void> {
  await vm.console.type(`busybox dd if=/dev/urandom of=/tmp/${number} bs=1M count=16 2>/dev/null; echo "wrote $?"\n`);
  await vm.console.expect(/wrote 0/, { timeout: '60s' });
}

it.runIf(isRoot)('a ring that has no room for another checkpoint drops others, and the attempt goes on', async () => {
  const small = join(dir, 'small');
  // The guest's RAM takes some 150 MiB, and 256 MiB stay free.
  expect(mountSmall(small, 560)).toBeUndefined();
  mounts.push(small);
  process.env['QMPILOT_RAM_DIR'] = small;
  const out = join(dir, 'full-ring');
  const scenario = tiny({
    async attempt(vm, { checkpoint, fail }) {
      for (const number of [1, 2, 3, 4, 5]) {
        await writeMore(vm, number);
        await checkpoint(`mark ${number}`);
      }
      fail('all is written');
    },
  });
  const summary = await runScenario(scenario, { attempts: 1, forks: 1, dir: out, checkpoints: 'marks' });
  expect(summary.reproduced).toBe(1);
  const events = eventsOf(out);
  const taken = events.filter(({ type }) => type === 'checkpoint').map(({ mark }) => mark);
  const [record] = recordsOf(out);
  const kept = (record?.checkpoints?.list ?? []).map(({ mark }) => mark);
  expect(taken.length).toBeGreaterThanOrEqual(3);
  expect(kept.length).toBeGreaterThanOrEqual(2);
  expect(kept[0]).toBe('mark 1');
  expect(kept.length).toBeLessThan(5);
  expect(kept.at(-1)).toBe(taken.at(-1));
  expect(readdirSync(small)).toEqual([]);
  expect(leftoversSince(before)).toEqual([]);
});

it.runIf(isRoot)('checkpoints for which the run directory has no room are not kept; the attempt is', async () => {
  const out = join(dir, 'full-run');
  expect(mountSmall(out, 24)).toBeUndefined();
  mounts.push(out);
  const scenario = tiny({
    async attempt(_vm, { checkpoint, fail }) {
      await checkpoint('only');
      fail('as always');
    },
  });
  const summary = await runScenario(scenario, { attempts: 1, forks: 1, dir: out, checkpoints: 'marks' });
  expect(summary.reproduced).toBe(1);
  expect(recordsOf(out)[0]).toMatchObject({ outcome: 'reproduced' });
  expect(recordsOf(out)[0]).not.toHaveProperty('checkpoints');
  expect(eventsOf(out).find(({ type }) => type === 'checkpoints-not-kept')?.reason).toMatch(/^NO_SPACE: /);
  expect(existsSync(join(out, 'attempts/0001/checkpoints'))).toBe(false);
  await expect(measureWhen(scenario, { run: out })).rejects.toMatchObject({ code: 'USAGE' });
  expect(leftoversSince(before)).toEqual([]);
});

it('a QEMU that is killed while it is saved makes the attempt inconclusive, and the next one is as always', async () => {
  const out = join(dir, 'killed-qemu');
  const scenario = tiny({
    async attempt(vm, { index, checkpoint, fail }) {
      await checkpoint('before');
      await writeMore(vm, 1);
      const saving = checkpoint('in the middle');
      if (index === 1) process.kill(vm.pid, 'SIGKILL');
      await saving;
      if (index === 2) fail('as always');
      await vm.ended;
    },
  });
  const summary = await runScenario(scenario, { attempts: 2, forks: 1, dir: out, checkpoints: 'marks' });
  expect(summary).toMatchObject({ reproduced: 1, inconclusive: 1 });
  const [killed, failed] = recordsOf(out);
  expect(killed).toMatchObject({ outcome: 'inconclusive', reason: expect.stringMatching(/QEMU_EXITED|QMP_LINK/) });
  expect(failed?.checkpoints?.list.map(({ mark }) => mark)).toEqual(['before', 'in the middle']);
  expect(leftoversSince(before)).toEqual([]);
});

it('a run that is killed while it takes checkpoints leaves nothing, and is resumed', async () => {
  const bin = join(ROOT, 'packages/cli/dist/bin.js');
  const scenario = join(ROOT, 'tests/support/scenarios/two-coins.repro.ts');
  const env = { ...process.env, TINY_KERNEL: guest.kernel, TINY_INITRD: guest.initrd };
  const qmpilot = (args: readonly string[], killAt?: RegExp) => {
    const child = spawn(process.execPath, [bin, ...args], { cwd: dir, env, stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      if (killAt?.test(stderr)) child.kill('SIGKILL');
    });
    return new Promise<{ code: number | null; stderr: string }>((resolve) =>
      child.once('close', (code) => resolve({ code, stderr })),
    );
  };
  const args = ['repro', scenario, '--attempts', '4', '--seed', '21', '--forks', '1', '--checkpoints', 'marks'];
  // The fourth attempt fails, and is killed as it is about to save its checkpoints, or is saving them.
  const killed = await qmpilot([...args, '--out', 'killed'], /error: both coins are heads/);
  expect(killed.code).toBe(null);
  expect(recordsOf(join(dir, 'killed')).map(({ index }) => index)).toEqual([1, 2, 3]);
  await expect.poll(() => leftoversSince(before), { timeout: 20_000 }).toEqual([]);
  const { code, stderr } = await qmpilot(['repro', '--resume', 'killed']);
  expect(code, stderr).toBe(1);
  const records = recordsOf(join(dir, 'killed'));
  expect(records.at(-1)?.checkpoints?.list).toHaveLength(3);
  expect(readdirSync(join(dir, 'killed/attempts/0004/checkpoints'))).toEqual(['001', '002', '003']);
  expect(leftoversSince(before)).toEqual([]);
});

it('without fromCheckpoint, detectors judge the forks of checkpoints that were taken at intervals', async () => {
  const out = join(dir, 'certain');
  const scenario = tiny({
    detect: { console: [{ kind: 'spool', pattern: /FATAL: spool is lost/, severity: 'error' }] },
    async attempt(vm, { watch, signal }) {
      const loop = 'i=0; while [ $i -lt 3 ]; do busybox sleep 1; i=$((i+1)); echo "tick $i"; done; n=lost';
      await vm.console.type(`(${loop}; echo "FATAL: spool is $n") &\n`, { signal });
      await watch.first({ kind: 'spool', signal });
    },
  });
  await runScenario(scenario, { attempts: 1, forks: 1, dir: out, checkpoints: '1s' });
  const [record] = recordsOf(out);
  expect(record?.checkpoints?.list.length).toBeGreaterThanOrEqual(2);
  const times = (record?.checkpoints?.list ?? []).map(({ at }) => at);
  expect(times).toEqual(times.toSorted((one, other) => one - other));
  expect(times.at(-1)).toBeLessThan(record?.timeToFailureMs ?? 0);
  const result = await measureWhen(scenario, { run: out, batch: 4 });
  expect(result).toMatchObject({ verdict: 'decided', forks: 8, inconclusive: 0 });
  expect(result.notes.join('\n')).toContain('no fromCheckpoint');
  expect(leftoversSince(before)).toEqual([]);
});

import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTinyGuest } from '../support/tiny-guest.js';
import { FaultRun } from './fault-run.js';
import { KINDS } from './kinds/index.js';
import { makeFault, type FaultResult } from './one-fault.js';
import { randomFrom } from './random.js';
import { formatTable, writeTable } from './table.js';

const LONG = process.env['QMPILOT_FAULTS'] === 'long';
/** The short form makes the same faults each time, so that a red test is somebody's change; the long one goes looking. */
const SEED = Number(process.env['QMPILOT_FAULTS_SEED'] ?? (LONG ? Math.floor(Math.random() * 1e6) : 8));
/** Of each kind; 200 and more together in the long form. */
const TIMES = LONG ? 8 : 1;

const results = new Map<string, FaultResult[]>(KINDS.map(({ name }) => [name, []]));
let dir: string;
let guest: Readonly<Record<string, string>>;
let usualMs: number;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-faults-'));
  const { kernel, initrd } = await makeTinyGuest(dir);
  const disk = join(dir, 'disk.raw');
  const fd = openSync(disk, 'w');
  ftruncateSync(fd, 512 << 20);
  closeSync(fd);
  guest = { TINY_KERNEL: kernel, TINY_INITRD: initrd, TINY_DISK: disk };
  const run = new FaultRun(guest);
  const begun = performance.now();
  const { code, stderr } = await run.start().ended;
  usualMs = performance.now() - begun;
  run.remove();
  expect(code, stderr).toBe(1);
});

afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
  const table = formatTable(results, SEED);
  console.log(table);
  if (process.env['QMPILOT_FAULTS_TABLE']) writeTable(table);
});

/** `QMPILOT_FAULTS_SEED` makes the same faults at the same moments again. */
describe.concurrent(`a run of attempts, seed ${SEED}: nothing is lost, nothing is left, the error and the exit status say what happened, and a resume finishes it, when`, () => {
  it.each(KINDS.map((kind, index) => ({ kind, name: kind.name, index })))('$name', async ({ kind, index }) => {
    const random = randomFrom(SEED + 1000 * index);
    const damage: unknown[] = [];
    for (let time = 0; time < TIMES; time += 1) {
      const result = await makeFault(kind, guest, usualMs, random);
      results.get(kind.name)?.push(result);
      if (result.skipped !== undefined) return console.log(`${kind.name}: not made: ${result.skipped}`);
      const { exit, lost, left, wrong } = result;
      if (lost.length + left.length + wrong.length > 0) damage.push({ time, exit, lost, left, wrong });
    }
    expect(damage).toEqual([]);
  });
});

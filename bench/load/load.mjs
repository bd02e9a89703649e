// What many attempts, many VMs and a flood do to the controller: pnpm bench:load [--restores N] [--write] [--check]   (build first).
// --write puts table and picture into docs/. The guest is tests/support/tiny-guest.ts; nothing may grow, fail, or keep others waiting.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createJiti } from 'jiti';
import { boot, direct } from '../../packages/core/dist/index.js';
import { reportBounds } from '../bounds.mjs';
import { drawCurves } from './curves.mjs';

const RESTORES = Number(process.argv[process.argv.indexOf('--restores') + 1]) || 5000;
const LANES = 2;
const SAMPLES = 100;
const VMS = 16;
const CALLS = 1000;
const FLOOD_SECONDS = 60;
/** QEMU's end of the serial console, by qemu/process/channels.ts. */
const CONSOLE_FD = 4;
const FLOOD = fileURLToPath(new URL('../../tests/faults/flood.pl', import.meta.url));
const DOCS = fileURLToPath(new URL('../../docs/', import.meta.url));
const say = (text) => process.stderr.write(`${text}\n`);

const dir = mkdtempSync(join(tmpdir(), 'qmpilot-load-'));
process.env.TMPDIR = dir;
process.env.QMPILOT_RAM_DIR = dir;
const { makeTinyGuest } = await createJiti(import.meta.url).import('../../tests/support/tiny-guest.ts');
const files = await makeTinyGuest(dir);
const guest = direct({
  name: 'tiny',
  ...files,
  append: 'console=ttyS0 quiet',
  cpus: 1,
  memoryMiB: 128,
  login: { prompt: /tiny# $/ },
});
const own = new Set(readdirSync(dir));

const answer = async (vm, word) => {
  await vm.console.type(`echo "${word} $((6 * 7))"\n`);
  await vm.console.expect(`${word} 42`, { timeout: '5m' });
};

try {
  const restores = await manyRestores();
  const many = await manyVms();
  const flood = await beside();
  const { first, last } = restores;
  const delta = (field, unit) =>
    `${first[field].toFixed(0)} ${unit} after the first tenth, ${last[field].toFixed(0)} ${unit} at the end`;
  const table = [
    `Linux ${release()}, ${cpus().length} cores, TCG; \`pnpm bench:load\`.`,
    '',
    '| what | measured |',
    '|---|---|',
    `| ${RESTORES} restores of a 128 MiB guest, each until it answers | ${restores.seconds.toFixed(0)} s, ${((restores.seconds * 1000 * LANES) / RESTORES).toFixed(0)} ms each, ${LANES} vms at a time, ${restores.failed} failed |`,
    `| memory of the controller | ${delta('memory', 'MiB')} |`,
    `| its descriptors | ${delta('descriptors', '')} |`,
    `| disk and RAM files | ${delta('disk', 'MiB')} |`,
    `| ${VMS} VMs at once: start, answer, stop | all ${many.answered}; up after ${many.up.toFixed(1)} s, stopped within ${many.stopped.toFixed(1)} s |`,
    `| QMP's answers while another VM's console brings ${flood.rate.toFixed(0)} MB/s for ${FLOOD_SECONDS} s | p99 ${flood.flooded.toFixed(1)} ms; without the flood ${flood.quiet.toFixed(1)} ms |`,
    `| memory of the controller meanwhile | ${flood.before.toFixed(0)} MiB before, ${flood.most.toFixed(0)} MiB at most |`,
  ].join('\n');
  process.stdout.write(`${table}\n`);
  if (process.argv.includes('--write')) {
    const page = join(DOCS, 'faults.md');
    writeFileSync(
      page,
      readFileSync(page, 'utf8').replace(
        /<!-- load -->[\s\S]*<!-- end of load -->/,
        () => `<!-- load -->\n${table}\n<!-- end of load -->`,
      ),
    );
    writeFileSync(join(DOCS, 'load.svg'), drawCurves(restores.samples));
  }
  reportBounds([
    ...['memory', 'descriptors', 'disk'].map((field) => [
      `${field} at the end`,
      last[field],
      '<=',
      first[field] * 1.3 + 8,
    ]),
    ['restores that failed', restores.failed, '<=', 0],
    ['VMs that answered', many.answered, '>=', VMS],
    ["QMP's answers beside the flood, p99, ms", flood.flooded, '<=', flood.quiet + 50],
    ['memory of the controller during the flood, MiB', flood.most, '<=', flood.before + 100],
  ]);
} finally {
  rmSync(dir, { recursive: true, force: true });
}

async function manyRestores() {
  const samples = [];
  let done = 0;
  let failed = 0;
  const begun = performance.now();
  const every = Math.max(1, Math.floor(RESTORES / SAMPLES));
  const lane = async () => {
    const vm = await boot(guest);
    await vm.snapshot('ready');
    try {
      while (done < RESTORES) {
        done += 1;
        const mine = done;
        try {
          await vm.restore('ready');
          await answer(vm, `n${mine}`);
        } catch (error) {
          failed += 1;
          say(`restore ${mine}: ${error.message}`);
        }
        if (mine % every === 0) {
          globalThis.gc?.();
          samples.push({
            restores: mine,
            memory: process.memoryUsage().rss / 2 ** 20,
            descriptors: readdirSync('/proc/self/fd').length,
            disk: usedMiB(),
          });
          if (mine % (every * 10) === 0) say(`${mine} restores, ${((performance.now() - begun) / 1000).toFixed(0)} s`);
        }
      }
    } finally {
      await vm.close();
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const tenth = Math.floor(samples.length / 10);
  return {
    samples,
    failed,
    seconds: (performance.now() - begun) / 1000,
    first: mean(samples.slice(tenth, 2 * tenth)),
    last: mean(samples.slice(-tenth)),
  };
}

/** Blocks of what is in our folders now, without the guest's own files. */
function usedMiB() {
  let blocks = 0;
  for (const entry of readdirSync(dir, { withFileTypes: true, recursive: true })) {
    if (own.has(entry.name)) continue;
    try {
      blocks += statSync(join(entry.parentPath ?? entry.path, entry.name)).blocks;
    } catch {
      // It went meanwhile.
    }
  }
  return (blocks * 512) / 2 ** 20;
}

function mean(samples) {
  const of = (field) => samples.reduce((sum, sample) => sum + sample[field], 0) / samples.length;
  return { memory: of('memory'), descriptors: of('descriptors'), disk: of('disk') };
}

async function manyVms() {
  const begun = performance.now();
  const vms = await Promise.all(Array.from({ length: VMS }, () => boot(guest, { timeout: '10m' })));
  const up = (performance.now() - begun) / 1000;
  const answers = await Promise.allSettled(vms.map((vm, index) => answer(vm, `vm${index}`)));
  const closing = performance.now();
  await Promise.all(vms.map((vm) => vm.close()));
  say(`${VMS} vms`);
  return {
    up,
    answered: answers.filter(({ status }) => status === 'fulfilled').length,
    stopped: (performance.now() - closing) / 1000,
  };
}

async function beside() {
  const [loud, other] = await Promise.all([boot(guest), boot(guest)]);
  try {
    const quiet = await p99(other);
    let bytes = 0;
    loud.console.onBytes((chunk) => (bytes += chunk.length));
    const before = memory();
    let most = before;
    const sampler = setInterval(() => (most = Math.max(most, memory())), 200);
    const begun = performance.now();
    const flood = spawn('perl', [FLOOD, String(loud.pid), String(CONSOLE_FD), String(FLOOD_SECONDS)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = new Promise((resolve) => flood.once('close', resolve));
    const flooded = await p99(other, () => flood.exitCode === null);
    await ended;
    clearInterval(sampler);
    return { quiet, flooded, before, most, rate: bytes / 1000 / (performance.now() - begun) };
  } finally {
    await Promise.all([loud.close(), other.close()]);
  }
}

const memory = () => process.memoryUsage().rss / 2 ** 20;

async function p99(vm, goOn = (call) => call < CALLS) {
  const times = [];
  for (let call = 0; goOn(call); call += 1) {
    const begun = performance.now();
    await vm.qmp.execute('query-status');
    times.push(performance.now() - begun);
  }
  return times.toSorted((one, other) => one - other)[Math.floor(times.length * 0.99)];
}

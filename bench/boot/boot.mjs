// Cold boots of `debian()`, and what emulation costs in the guest: node bench/boot/boot.mjs [--rounds N] [--against DIR] [--check]   (build
// first). --against DIR: in turns with cold boots of another checkout, which is built. --check fails outside of the bounds.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { reportBounds } from '../bounds.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    against: { type: 'string' },
    one: { type: 'string' },
    check: { type: 'boolean' },
  },
});
const ROUNDS = Number(values.rounds);
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const library = (root) => import(join(root, 'packages/core/dist/index.js'));

/** Blocks of code that TCG has translated so far. */
async function blocksOf(vm) {
  const text = await vm.qmp.execute('human-monitor-command', { 'command-line': 'info jit' });
  return Number(/TB count\s+(\d+)/.exec(text)?.[1] ?? Number.NaN);
}

/** Processor time of QEMU, in ms: fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms. */
function processorMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\) /s, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** From the call to the answer of the first command. Nothing starts from the boot cache. */
async function coldBoot(root) {
  const { boot, debian } = await library(root);
  await debian().prepare();
  const begun = performance.now();
  const vm = await boot(debian(), { cache: false });
  await vm.shell.exec('echo hi');
  const ms = performance.now() - begun;
  const result = { ms, processor: processorMs(vm.pid), blocks: await blocksOf(vm) };
  await vm.close();
  return result;
}

if (values.one !== undefined) {
  console.log(JSON.stringify(await coldBoot(values.one)));
  process.exit();
}

const sides = [
  ...(values.against === undefined ? [] : [{ label: 'the other checkout', root: values.against, boots: [] }]),
  { label: 'here', root: ROOT, boots: [] },
];
for (let round = 1; round <= ROUNDS; round += 1) {
  for (const { label, root, boots } of sides) {
    const script = fileURLToPath(import.meta.url);
    boots.push(JSON.parse(execFileSync(process.execPath, [script, '--one', root], { encoding: 'utf8' })));
    console.error(`round ${round}: ${label}: ${(boots.at(-1).ms / 1000).toFixed(1)} s`);
  }
}
const seconds = (ms) => (ms / 1000).toFixed(1);
console.log(
  `| ${ROUNDS} cold boots | median, s | min - max | processor time of QEMU, s | translated blocks |\n|---|---:|---:|---:|---:|`,
);
for (const { label, boots } of sides) {
  const times = boots.map(({ ms }) => ms);
  console.log(
    `| ${label} | ${seconds(median(times))} | ${seconds(Math.min(...times))} - ${seconds(Math.max(...times))} | ${seconds(median(boots.map(({ processor }) => processor)))} | ${median(boots.map(({ blocks }) => blocks))} |`,
  );
}

// Two guests that are alike but for the CPU, in turns, and the first one with random addresses as well.
const { boot, debian } = await library(ROOT);
const guest = await boot(debian());
const full = await boot(debian(), { qemuArguments: ['-cpu', 'max'] });
const PROGRAMS = 'for i in $(seq 40); do /bin/true; done';
const READ = 'cat /usr/local/bin/node > /dev/null';
const addresses = (kind) => `sysctl -q -w kernel.randomize_va_space=${kind}`;
const row = (what, vm, command, before = 'true') => ({ what, vm, command, before, times: [], blocks: [] });
const rows = [
  row('40 times `/bin/true`, random addresses', guest, PROGRAMS, addresses(2)),
  row('40 times `/bin/true`, the same addresses', guest, PROGRAMS, addresses(0)),
  row('`cat` of a file of 90 MB in memory, `-cpu max`', full, READ),
  row('the same, the CPU of qmpilot', guest, READ),
];
for (let round = 0; round <= 7; round += 1) {
  for (const { vm, command, before, times, blocks } of rows) {
    await vm.expectOk(before);
    const blocksBefore = await blocksOf(vm);
    const begun = performance.now();
    await vm.expectOk(command, { timeout: '2m' });
    const ms = performance.now() - begun;
    // The first round brings files and code into memory.
    if (round === 0) continue;
    times.push(ms);
    blocks.push((await blocksOf(vm)) - blocksBefore);
  }
}
console.log('\n| in the guest | median, ms | min - max | translated blocks |\n|---|---:|---:|---:|');
for (const { what, times, blocks } of rows)
  console.log(
    `| ${what} | ${median(times).toFixed(0)} | ${Math.min(...times).toFixed(0)} - ${Math.max(...times).toFixed(0)} | ${median(blocks)} |`,
  );
const old = Number.parseInt(guest.facts.qemu.version, 10) < 9;
await Promise.all([guest.close(), full.close()]);
const [random, fixed, max, ours] = rows.map(({ times }) => median(times));
const [other, here] = sides.map(({ boots }) => median(boots.map(({ ms }) => ms)));
reportBounds([
  ...(here === undefined ? [] : [['cold boot against the other checkout', here / other, '<=', 1]]),
  ...(old ? [['the same addresses against random ones', fixed / random, '<=', 0.6]] : []),
  ['the CPU of qmpilot against `-cpu max`', ours / max, '<=', 0.8],
]);

// Snapshots of a fork, with its changed pages alone: node bench/snapshot/changed-pages.mjs [--memory MIB] [--check]   (build first).
// The full save and the floor of a fork (its base's, and the same pages written by /proc/PID/mem) are measured in the same run.
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { boot, debian } from '../../packages/core/dist/index.js';
import { reportBounds } from '../bounds.mjs';

const PAGE = 4096;
const ROUNDS = 5;
const CHAIN = 20;
const argument = process.argv.indexOf('--memory');
const memoryMiB = argument === -1 ? 1024 : Number(process.argv[argument + 1]);
const say = (text) => process.stderr.write(`${text}\n`);

const vm = await boot(debian({ memoryMiB }));
const first = (await vm.snapshot('base')).pausedMs;
const baseFork = await repeat(async () => (await timeFork('base')).ms);
say('booted and saved');
const rows = [];
const bounds = [];
for (const mebibytes of [64, 512]) {
  const fork = await vm.fork('base');
  await fork.reseeded;
  await fork.expectOk(`mount -o remount,size=90% /run; head -c ${mebibytes}M /dev/urandom > /run/x`, { timeout: '5m' });
  const pauses = [];
  let held = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const name = `changed-${mebibytes}-${round}`;
    const before = memoryUsed();
    pauses.push((await fork.snapshot(name)).pausedMs);
    held = memoryUsed() - before;
    if (round > 0) await fork.removeSnapshot(name);
  }
  const name = `changed-${mebibytes}-0`;
  const runs = changedPages(fork);
  const changed = (runs.reduce((sum, { count }) => sum + count, 0) * PAGE) / 2 ** 20;
  // In turns: memory that the host has not backed before takes much longer to write.
  const forks = [];
  const floors = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    forks.push((await timeFork(name)).ms);
    floors.push(await floor(fork, runs));
  }
  const full = (await fork.snapshot(`full-${mebibytes}`, { strategy: 'file' })).pausedMs;
  await fork.close();
  say(`${mebibytes} MiB measured`);
  const limit = 3 * first + changed;
  rows.push([
    `${mebibytes} MiB written`,
    changed.toFixed(0),
    `${median(pauses).toFixed(0)} (${Math.min(...pauses).toFixed(0)} - ${Math.max(...pauses).toFixed(0)})`,
    full.toFixed(0),
    held.toFixed(0),
    median(forks).toFixed(0),
    median(baseFork).toFixed(0),
    median(floors).toFixed(0),
  ]);
  bounds.push(
    [`${mebibytes} MiB: pause, ms`, median(pauses), limit],
    [`${mebibytes} MiB: pause against a full save, inverse of 20 x`, (20 * median(pauses)) / full, 1],
    [`${mebibytes} MiB: memory against the changed pages`, held / changed, 1.1],
    [`${mebibytes} MiB: fork, ms`, median(forks), median(baseFork) + 1.2 * median(floors)],
  );
}
const chain = [];
let link = await vm.fork('base');
for (let index = 0; index < CHAIN; index += 1) {
  await link.reseeded;
  await link.expectOk(`head -c 1M /dev/urandom > /run/link${index}`);
  chain.push((await link.snapshot(`chain-${index}`)).pausedMs);
  await link.close();
  link = await vm.fork(`chain-${index}`);
}
const files = (await link.expectOk('ls /run/link* | wc -l')).stdout.trim();
await link.close();
await vm.close();

console.log(`${memoryMiB} MiB of RAM; first snapshot: paused for ${first.toFixed(0)} ms.\n`);
console.log(
  '| a fork after | changed pages, MiB | pause, ms | pause of a full save, ms | memory held, MiB | fork, ms | fork of its base, ms | floor of writing the pages, ms |',
);
console.log('|---|---:|---:|---:|---:|---:|---:|---:|');
for (const row of rows) console.log(`| ${row.join(' | ')} |`);
console.log(
  `\nChain of ${CHAIN}, each a snapshot of a fork of the one before, 1 MiB written in each (${files} files at the end): paused for ${Math.min(...chain).toFixed(0)} to ${Math.max(...chain).toFixed(0)} ms, median ${median(chain).toFixed(0)}.\n`,
);
reportBounds(bounds.map(([name, value, limit]) => [name, value, '<=', limit]));

async function timeFork(name) {
  const begun = performance.now();
  const fork = await vm.fork(name);
  const ms = performance.now() - begun;
  await fork.shell.ready();
  await fork.close();
  return { ms };
}

/** Writes the pages of `from` into a fork of its base, which is of no use afterwards. */
async function floor(from, runs) {
  const to = await vm.fork('base');
  await to.qmp.execute('stop');
  const target = mappingOf(to).address - mappingOf(from).address;
  const buffer = Buffer.alloc(4 << 20);
  const source = openSync(`/proc/${from.pid}/mem`, 'r');
  const memory = openSync(`/proc/${to.pid}/mem`, 'r+');
  let ms = 0;
  for (const { address, count } of runs) {
    for (let done = 0; done < count * PAGE;) {
      const size = readSync(source, buffer, 0, Math.min(buffer.length, count * PAGE - done), address + done);
      const begun = performance.now();
      writeSync(memory, buffer, 0, size, address + done + target);
      ms += performance.now() - begun;
      done += size;
    }
  }
  closeSync(source);
  closeSync(memory);
  await to.close();
  return ms;
}

function mappingOf({ pid }) {
  const line = readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .find((text) => text.endsWith('/ram'));
  const [from, to] = line
    .split(' ')[0]
    .split('-')
    .map((text) => Number.parseInt(text, 16));
  return { address: from, pages: (to - from) / PAGE };
}

function changedPages(of) {
  const { address, pages } = mappingOf(of);
  const map = Buffer.alloc(pages * 8);
  const file = openSync(`/proc/${of.pid}/pagemap`, 'r');
  readSync(file, map, 0, map.length, (address / PAGE) * 8);
  closeSync(file);
  const runs = [];
  for (let page = 0; page < pages; page += 1) {
    const flags = map.readUInt32LE(page * 8 + 4) >>> 29;
    if (flags < 2 || flags % 2 === 1) continue;
    const last = runs.at(-1);
    if (last && last.address + last.count * PAGE === address + page * PAGE) last.count += 1;
    else runs.push({ address: address + page * PAGE, count: 1 });
  }
  return runs;
}

/** What the RAM files and states of this process take in memory, in MiB; a file with several names once. */
function memoryUsed() {
  const path = vm.facts.commandLine.join(' ').match(/mem-path=([^,]+)/)[1];
  const root = dirname(dirname(path));
  const sizes = new Map(
    readdirSync(root, { recursive: true }).map((name) => {
      const { ino, blocks } = lstatSync(`${root}/${name}`);
      return [ino, blocks / 2048];
    }),
  );
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

async function repeat(work) {
  const measured = [];
  for (let round = 0; round < ROUNDS; round += 1) measured.push(await work());
  return measured;
}

function median(values) {
  const sorted = values.toSorted((one, other) => one - other);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

// Speed and memory of snapshots on the real Debian guest: node bench/snapshot/snapshot.mjs [--boots N] [--check]   (build first).
// Cold boots, loadvm (snapshot-load) and rebooting for each attempt are measured in the same run. --check fails outside of the bounds.
import { readdirSync, readFileSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { boot, debian } from '../../packages/core/dist/index.js';
import { reportBounds } from '../bounds.mjs';

const RUNS = 10;
const BOOTS = Number(process.argv[process.argv.indexOf('--boots') + 1]) || 10;
const SIBLINGS = 8;
const ATTEMPTS = 200;
/** One or two builtins: the attempt itself costs next to nothing. */
const TRIGGER = 'echo trigger';
const say = (text) => process.stderr.write(`${text}\n`);

const rows = { coldBoot: [], saved: [] };
let vm;
for (let round = 0; round < BOOTS; round += 1) {
  await vm?.close();
  const begun = performance.now();
  vm = await boot(debian());
  await vm.shell.exec('echo hi');
  rows.coldBoot.push(performance.now() - begun);
  rows.saved.push((await vm.snapshot('idle')).pausedMs);
}
// The first one makes the snapshot where it is missing.
await (await boot(debian(), { cache: true })).close();
rows.cached = await repeat(async () => {
  const begun = performance.now();
  const cached = await boot(debian(), { cache: true });
  await cached.shell.exec('echo hi');
  const ms = performance.now() - begun;
  await cached.close();
  return ms;
});
say('booted and saved');
const idle = await measureForks(vm, 'idle');
rows.fork1 = idle.answer;
rows.echo1 = idle.echo;
rows.restore = await repeat(async () => {
  const begun = performance.now();
  await vm.restore('idle');
  await vm.shell.ready();
  return performance.now() - begun;
});
const warm = await measureWarm(vm, 'idle');
rows.warm = warm.answer;
rows.warmEcho = warm.echo;
say('forks, restores and warm forks measured');
const pss = await measurePss(vm, 'idle');
const growth = await measureGrowth(vm, 'idle');
const perMinute = { forks: growth.perMinute, reboots: 60_000 / median(rows.coldBoot) };
const together = await measureTogether(vm, 'idle');
say('memory and growth measured');
await vm.snapshot('reboots', { reboots: true });
rows.forkReboots = (await measureForks(vm, 'reboots')).answer;
const pssReboots = await measurePss(vm, 'reboots');

// The same guest with 400 MiB of its RAM touched: what loadvm has to read.
await vm.restore('idle');
await vm.reseeded;
await vm.expectOk('mount -o remount,size=90% /run; head -c 400M /dev/urandom > /run/touched', { timeout: '3m' });
await vm.snapshot('dirty');
rows.forkDirty = (await measureForks(vm, 'dirty')).answer;
await vm.restore('dirty');
await vm.shell.ready();
await vm.snapshot('inside', { strategy: 'internal' });
rows.loadvm = await repeat(async () => {
  const begun = performance.now();
  await vm.restore('inside');
  await vm.shell.ready();
  return performance.now() - begun;
});
await vm.close();
say('loadvm measured');
vm = await boot(debian({ memoryMiB: 4096 }));
await vm.snapshot('large');
rows.fork4 = (await measureForks(vm, 'large')).answer;
await vm.close();

print();

async function measureForks(of, name) {
  const measured = { answer: [], echo: [] };
  for (let round = 0; round < RUNS; round += 1) {
    const begun = performance.now();
    const fork = await of.fork(name);
    await fork.shell.ready();
    measured.answer.push(performance.now() - begun);
    await fork.shell.exec('echo hi');
    measured.echo.push(performance.now() - begun);
    await fork.close();
  }
  return measured;
}

async function measureWarm(of, name) {
  const measured = { answer: [], echo: [] };
  const pool = of.pool(name, { size: 1 });
  for (let round = 0; round < RUNS; round += 1) {
    while (pool.ready === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    const begun = performance.now();
    const fork = await pool.take();
    await fork.shell.ready();
    measured.answer.push(performance.now() - begun);
    await fork.shell.exec('echo hi');
    measured.echo.push(performance.now() - begun);
    await fork.close();
  }
  await pool.close();
  return measured;
}

async function measurePss(of, name) {
  const forks = await of.fork(name, { count: SIBLINGS + 1 });
  await Promise.all(forks.map((fork) => fork.reseeded));
  const sizes = forks.map(
    ({ pid }) => Number(/^Pss: +(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]) / 1024,
  );
  await Promise.all(forks.map((fork) => fork.close()));
  return sizes;
}

async function measureGrowth(of, name) {
  const pool = of.pool(name, { size: 2 });
  const attempt = async () => {
    const fork = await pool.take();
    await fork.shell.exec(TRIGGER);
    await fork.close();
  };
  for (let round = 0; round < 20; round += 1) await attempt();
  const before = usage();
  const begun = performance.now();
  for (let round = 0; round < ATTEMPTS; round += 1) await attempt();
  const minutes = (performance.now() - begun) / 60_000;
  const after = usage();
  await pool.close();
  return { before, after, perMinute: ATTEMPTS / minutes };
}

/** As many at once as the siblings above, until as many attempts are done as before. */
async function measureTogether(of, name) {
  const before = usage();
  const pool = of.pool(name, { size: SIBLINGS });
  const begun = performance.now();
  let left = ATTEMPTS;
  const work = async () => {
    while (left-- > 0) {
      const fork = await pool.take();
      await fork.shell.exec(TRIGGER, { timeout: '2m' });
      await fork.close();
    }
  };
  await Promise.all(Array.from({ length: SIBLINGS }, work));
  const minutes = (performance.now() - begun) / 60_000;
  await pool.close();
  return { before, after: usage(), perMinute: ATTEMPTS / minutes };
}

function usage() {
  globalThis.gc?.();
  const children = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && parentOf(pid) === process.pid).length;
  const shm = statfsSync('/dev/shm');
  const own = readdirSync(tmpdir()).filter((entry) => entry.startsWith('qmpilot-')).length;
  return {
    heapMiB: process.memoryUsage().heapUsed / 2 ** 20,
    descriptors: readdirSync('/proc/self/fd').length,
    processes: children,
    shmMiB: ((shm.blocks - shm.bfree) * shm.bsize) / 2 ** 20,
    folders: own,
  };
}

function parentOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}

async function repeat(work) {
  const measured = [];
  for (let round = 0; round < RUNS; round += 1) measured.push(await work());
  return measured;
}

function median(values) {
  const sorted = values.toSorted((one, other) => one - other);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

function shown(values, digits = 0) {
  return `${median(values).toFixed(digits)} | ${Math.min(...values).toFixed(digits)} - ${Math.max(...values).toFixed(digits)}`;
}

function print() {
  const lines = [
    ['cold boot until the answer, ms', shown(rows.coldBoot)],
    ['boot from the cache until the answer, ms', shown(rows.cached)],
    ['save: the guest is paused, ms', shown(rows.saved)],
    ['fork: spawn until the shell answers (a builtin), 1 GiB, ms', shown(rows.fork1)],
    ['... the same, 4 GiB', shown(rows.fork4)],
    ["... until `exec('echo hi')` has ended as well, 1 GiB", shown(rows.echo1)],
    ['... of a snapshot whose guests can reboot (`reboots: true`)', shown(rows.forkReboots)],
    ['restore in place until the answer, ms', shown(rows.restore)],
    ['warm fork until the answer, ms', shown(rows.warm)],
    ["... until `exec('echo hi')` has ended as well", shown(rows.warmEcho)],
    ['400 MiB touched: fork until the answer, ms', shown(rows.forkDirty)],
    ['400 MiB touched: loadvm (`snapshot-load`) until the answer, ms', shown(rows.loadvm)],
    [`PSS of an idle fork with ${SIBLINGS} siblings, MiB`, shown(pss)],
    ['... of a snapshot whose guests can reboot', shown(pssReboots)],
  ];
  console.log('| | median | min - max |\n|---|---:|---:|');
  for (const [name, text] of lines) console.log(`| ${name} | ${text} |`);
  const { before, after } = growth;
  console.log(
    `\nAttempts per minute of \`${TRIGGER}\`: ${perMinute.forks.toFixed(0)} with forks, ${perMinute.reboots.toFixed(1)} with a VM that boots for each (${(perMinute.forks / perMinute.reboots).toFixed(0)} x).`,
  );
  const growthText = (one) =>
    Object.keys(one.before)
      .map((key) => `${key} ${one.before[key].toFixed(0)} -> ${one.after[key].toFixed(0)}`)
      .join(', ');
  console.log(`After ${ATTEMPTS} attempts: ${growthText(growth)}.`);
  console.log(
    `${ATTEMPTS} more, ${SIBLINGS} at once, ${together.perMinute.toFixed(0)} a minute: ${growthText(together)}.\n`,
  );
  const bounds = [
    ['boot from the cache against cold boot, inverse of 12 x', (12 * median(rows.cached)) / median(rows.coldBoot), 1],
    ['save pause, ms', median(rows.saved), 30],
    ['fork until the answer, ms', median(rows.fork1), 100],
    ['4 GiB against 1 GiB', median(rows.fork4) / median(rows.fork1), 1.2],
    ['warm, ms', median(rows.warm), 60],
    ['fork against cold boot, inverse of 100 x', (100 * median(rows.fork1)) / median(rows.coldBoot), 1],
    ['fork against loadvm, inverse of 4 x', (4 * median(rows.forkDirty)) / median(rows.loadvm), 1],
    ['PSS, MiB', Math.max(...pss), 60],
    ['descriptors after 200 attempts, growth', after.descriptors - before.descriptors, 4],
    ['processes after 200 attempts, growth', after.processes - before.processes, 2],
  ];
  reportBounds(bounds.map(([name, value, limit]) => [name, value, '<=', limit]));
}

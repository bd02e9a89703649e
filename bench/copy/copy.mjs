// Copies into and out of the Debian guest: node bench/copy/copy.mjs [--check]   (build first).
// In the same run: the guest unpacks (packs) the same archive by itself, and the same copy over a console, as in a guest without the port.
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, debian } from '../../packages/core/dist/index.js';
import { reportBounds } from '../bounds.mjs';

const MEBIBYTE = 2 ** 20;
const LARGE = 100;
/** Over the console 100 MiB take minutes. */
const CONSOLE_LARGE = 8;
/** A copy against the guest's own tar. */
const BOUNDS = { 'files in': 3, 'files out': 8, 'large in': 8, 'large out': 4 };
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const say = (text) => process.stderr.write(`${text}\n`);

const dir = mkdtempSync(join(tmpdir(), 'qmpilot-bench-copy-'));
mkdirSync(join(dir, 'files'));
for (let index = 0; index < 2000; index += 1) writeFileSync(join(dir, 'files', `f${index}`), randomBytes(4500));
writeFileSync(join(dir, 'large'), randomBytes(LARGE * MEBIBYTE));
writeFileSync(join(dir, 'console-large'), randomBytes(CONSOLE_LARGE * MEBIBYTE));
const vm = await boot(debian({ memoryMiB: 2048 }), { cache: true });
say('booted');

async function time(work) {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

function hash(path) {
  const digest = createHash('sha256');
  const files = statSync(path).isDirectory()
    ? readdirSync(path)
        .sort()
        .map((name) => join(path, name))
    : [path];
  for (const file of files) digest.update(readFileSync(file));
  return digest.digest('hex');
}

let count = 0;
/** Copies in, and what came in out again; checks it. */
async function bothWays(source) {
  const [guest, back] = [`/root/copy${(count += 1)}`, join(dir, `back${count}`)];
  const into = await time(() => vm.copyIn(join(dir, source), guest));
  const out = await time(() => vm.copyOut(guest, back));
  if (hash(join(dir, source)) !== hash(back)) throw new Error(`${source} came back changed`);
  rmSync(back, { recursive: true });
  await vm.expectOk(`rm -rf ${guest}`, { timeout: '2m' });
  return { into, out };
}

/** The guest's own tar, from and to a tmpfs. */
async function floor(source) {
  await vm.expectOk('mkdir -p /run/bench && mount -t tmpfs -o size=512M tmpfs /run/bench; cd /run/bench');
  await vm.copyIn(join(dir, source), '/run/bench/source');
  const pack = 'cd /run/bench && tar -cf archive source';
  const out = await time(() => vm.expectOk(pack, { timeout: '2m' }));
  const into = await time(() =>
    vm.expectOk('mkdir /root/own && tar -xpBf /run/bench/archive -C /root/own', { timeout: '2m' }),
  );
  await vm.expectOk('rm -rf /root/own && umount /run/bench', { timeout: '2m' });
  return { into, out };
}

async function repeat(times, work) {
  const all = [];
  for (let round = 0; round < times; round += 1) all.push(await work());
  return { into: median(all.map(({ into }) => into)), out: median(all.map(({ out }) => out)) };
}

const files = await repeat(3, () => bothWays('files'));
const filesFloor = await repeat(3, () => floor('files'));
say('files measured');
const large = await repeat(3, () => bothWays('large'));
const largeFloor = await repeat(3, () => floor('large'));
say('large file measured');
// The port is taken: copies go over the console.
await vm.expectOk('for port in /dev/vport*; do (sleep 100000 3<>"$port") >/dev/null 2>&1 & done');
const filesConsole = await bothWays('files');
const largeConsole = await bothWays('console-large');
await vm.close();
rmSync(dir, { recursive: true });

const seconds = (ms) => (ms / 1000).toFixed(2);
const rate = (mebibytes, ms) => ((mebibytes * 1000) / ms).toFixed(1);
console.log("| | through the port, s | the guest's own tar, s | over a console, s |\n|---|---:|---:|---:|");
for (const [name, direction] of [
  ['in', 'into'],
  ['out', 'out'],
]) {
  console.log(
    `| 2000 files of 4500 bytes, ${name} | ${seconds(files[direction])} | ${seconds(filesFloor[direction])} | ${seconds(filesConsole[direction])} |`,
  );
  console.log(
    `| one file of ${LARGE} MiB, ${name} | ${seconds(large[direction])} (${rate(LARGE, large[direction])} MiB/s) | ${seconds(largeFloor[direction])} | ${rate(CONSOLE_LARGE, largeConsole[direction])} MiB/s |`,
  );
}
const ratios = {
  'files in': files.into / filesFloor.into,
  'files out': files.out / filesFloor.out,
  'large in': large.into / largeFloor.into,
  'large out': large.out / largeFloor.out,
};
reportBounds(Object.entries(BOUNDS).map(([name, wanted]) => [name, ratios[name], '<=', wanted]));

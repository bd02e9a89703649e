// Time to the first prompt of a known guest, of a new kernel on an old image, and of a new layer over an existing image:
// node bench/guest/guest.mjs [--rounds N] [--check]   (build first). In turns in one run; --check fails outside of the bound.
import { execFileSync } from 'node:child_process';
import { appendFile, copyFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { removeImages } from '../../packages/core/dist/guests/index.js';
import { boot, debian } from '../../packages/core/dist/index.js';
import { reportBounds } from '../bounds.mjs';

/** A kernel that is prepared first, against one that was prepared before. */
const MAX_RATIO = 1.2;
const at = process.argv.indexOf('--rounds');
const ROUNDS = (at === -1 ? 0 : Number(process.argv[at + 1])) || 5;
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** From the call to the answer of the first command. Nothing starts from the boot cache. */
async function timeToPrompt(guest) {
  const begun = performance.now();
  const vm = await boot(guest, { cache: false });
  await vm.shell.exec('echo hi');
  const ms = performance.now() - begun;
  await vm.close();
  return ms;
}

const folder = await mkdtemp(join(tmpdir(), 'qmpilot-bench-'));
const layers = [];
const kernels = [];
// The same kernel as the image's own, so that only its preparation differs; no download is measured.
const { kernelRelease } = await debian().prepare();
execFileSync('apt-get', ['download', `linux-image-${kernelRelease}`], { cwd: folder, stdio: 'ignore' });
const [deb = ''] = await readdir(folder);
const known = debian({ kernel: join(folder, deb) });

async function newKernel(round) {
  const copy = join(folder, `${round}.deb`);
  await copyFile(join(folder, deb), copy);
  // A kernel is known by its bytes; dpkg-deb skips a member whose name begins with an underscore.
  const text = `${process.pid} ${round}`.padEnd(16);
  await appendFile(
    copy,
    `${'_round'.padEnd(16)}${'0'.padEnd(12)}${'0'.padEnd(6)}${'0'.padEnd(6)}${'100644'.padEnd(8)}${'16'.padEnd(10)}\`\n${text}`,
  );
  const guest = debian({ kernel: copy });
  const ms = await timeToPrompt(guest);
  kernels.push(await guest.prepare());
  return ms;
}

async function newLayer(setup) {
  const guest = debian({ setup });
  const ms = await timeToPrompt(guest);
  layers.push((await guest.prepare()).key);
  return ms;
}

async function newScript(round) {
  const setup = join(folder, 'setup.sh');
  await writeFile(setup, `echo ${process.pid} ${round} > /etc/round\n`);
  return newLayer(setup);
}

const newFunction = (round) =>
  newLayer({
    name: `bench ${process.pid} ${round}`,
    run: async (vm) => void (await vm.expectOk('echo hi > /etc/round')),
  });

const row = (what, measure) => ({ what, measure, times: [] });
const rows = [
  row('a known guest, with a kernel of its own', () => timeToPrompt(known)),
  row('a new kernel (a `.deb`) on an old image, its preparation included', newKernel),
  row('a new layer by a setup script', newScript),
  row('a new layer by a setup function', newFunction),
];
try {
  kernels.push(await known.prepare());
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const { what, measure, times } of rows) {
      const ms = await measure(round);
      times.push(ms);
      console.error(`round ${round}: ${what}: ${(ms / 1000).toFixed(1)} s`);
    }
  }
} finally {
  await removeImages(layers);
  for (const { kernel } of kernels) await rm(dirname(kernel.kernel), { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
}
console.log('| time to the first prompt | median, s | min - max |\n|---|---:|---:|');
const seconds = (ms) => (ms / 1000).toFixed(1);
for (const { what, times } of rows)
  console.log(
    `| ${what} | ${seconds(median(times))} | ${seconds(Math.min(...times))} - ${seconds(Math.max(...times))} |`,
  );
const [before, after] = rows.map(({ times }) => median(times));
const ratio = after / before;
reportBounds([['new kernel against a known one', ratio, '<=', MAX_RATIO]]);

// What a VM for each Vitest test costs: node bench/vitest/vitest.mjs [--tests N] [--check]   (build first).
// Floors in the same run: a bare fork of a pool with the same command, without Vitest; and a cold boot, which each test would need otherwise.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { boot, debian } from '../../packages/core/dist/index.js';
import { reportBounds } from '../bounds.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const at = process.argv.indexOf('--tests');
const TESTS = at === -1 ? 40 : Number(process.argv[at + 1]);
const median = (values) => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];
const p95 = (values) => values.toSorted((one, other) => one - other)[Math.floor(values.length * 0.95)];

const begun = performance.now();
const vm = await boot(debian());
await vm.expectOk('true');
const coldBoot = performance.now() - begun;
await vm.snapshot('ready');
const pool = vm.pool('ready', { size: 1 });
const bare = [];
for (let round = 0; round < TESTS; round += 1) {
  const from = performance.now();
  const fork = await pool.take();
  await fork.expectOk('true');
  await fork.close();
  bare.push(performance.now() - from);
}
await pool.close();
await vm.close();

const dir = mkdtempSync(join(tmpdir(), 'qmpilot-bench-vitest-'));
const report = join(dir, 'report.json');
const { status, stderr } = spawnSync(
  process.execPath,
  [
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--root',
    join(ROOT, 'bench/vitest/project'),
    '--reporter=json',
    `--outputFile=${report}`,
  ],
  {
    encoding: 'utf8',
    env: { ...process.env, BENCH_TESTS: String(TESTS), BENCH_ARTIFACTS: join(dir, 'artifacts') },
  },
);
if (status !== 0) throw new Error(`the tests failed:\n${stderr}`);
const [file] = JSON.parse(readFileSync(report, 'utf8')).testResults;
rmSync(dir, { recursive: true });
const starts = file.assertionResults.map(({ meta }) => meta.startedAt);
// From one test's first line to the next one's: fork, test, end.
const each = starts.slice(1).map((start, index) => start - starts[index]);

const rows = [
  ['a test with a VM of its own and one command: from its first line to the next test’s', each],
  ['the same without Vitest: take from a pool of 1, command, close', bare],
];
console.log(`| ${TESTS} times | median, ms | 95th percentile, ms |\n|---|---:|---:|`);
for (const [name, values] of rows)
  console.log(`| ${name} | ${median(values).toFixed(0)} | ${p95(values).toFixed(0)} |`);
console.log(`| a cold boot, once | ${coldBoot.toFixed(0)} | |`);

reportBounds([
  ['a test against the bare fork', median(each) / median(bare), '<=', 1.5],
  ['a test against a cold boot', median(each) / coldBoot, '<=', 0.1],
]);

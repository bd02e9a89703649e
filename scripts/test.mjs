// npm test [-- CHECK [FILTER...]]: sets up what is missing and runs every check, or one of them; FILTER selects files of that check:
// `npm test -- unit`, `npm test -- e2e shells`. A failed check does not end the run. At the end: the time of each check, the ten slowest
// tests, the time of the run in cold boots, one of which is measured before, and what failed, with the first lines of each reason.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fail, ROOT, run } from './host.mjs';
import { measureColdBoot } from './measure-boot.mjs';
import './setup.mjs';

const USAGE = 2;
const SLOWEST = 10;
/** Lines of a failed test's message that the summary repeats. */
const REASON_LINES = 12;

/** Scripts of package.json that pass or fail as a whole. */
const SCRIPTS = ['lint', 'typecheck', 'check:packages', 'docs:api'];
/** Projects of vitest.config.ts, and further arguments. */
const PROJECTS = {
  unit: ['--maxWorkers', '100%'],
  fuzz: ['--maxWorkers', '100%'],
  contract: [],
  browser: [],
  faults: [],
  e2e: [],
};

const [only, ...filters] = process.argv.slice(2);
const names = [...SCRIPTS, ...Object.keys(PROJECTS)];
if (only !== undefined && !names.includes(only)) {
  console.error(`npm test: unknown check ${JSON.stringify(only)}; there are: ${names.join(', ')}`);
  process.exit(USAGE);
}
const wanted = only === undefined ? names : [only];
const reports = mkdtempSync(join(tmpdir(), 'qmpilot-test-'));
process.on('exit', () => rmSync(reports, { recursive: true, force: true }));

const begun = performance.now();
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

// The contract and e2e tests run on a second QEMU as well, and fail where it is not available.
if (wanted.includes('contract') || wanted.includes('e2e'))
  run('sh', ['tools/qmp-schema/fetch-qemu.sh', 'trixie'], { stdio: ['ignore', 'ignore', 'inherit'] });

// It builds the image of the guest where that is missing.
const boots = only === undefined ? measureColdBoot() : undefined;

const results = wanted.map((name) => {
  console.error(`\n== ${name}`);
  const start = performance.now();
  const result = name in PROJECTS ? runProject(name) : runScript(name);
  return { name, ms: performance.now() - start, ...result };
});

console.log('\nTime of each check:');
for (const { name, ms, status, passed, failed } of results)
  console.log(
    `  ${status === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(15)} ${seconds(ms).padStart(9)}  ${passed} passed, ${failed} failed`,
  );
const slowest = results.flatMap(({ tests }) => tests).toSorted((one, other) => other.ms - one.ms);
if (slowest.length > 0) console.log('\nSlowest tests:');
for (const { ms, file, title } of slowest.slice(0, SLOWEST))
  console.log(`  ${seconds(ms).padStart(9)}  ${file}: ${title}`);
const total = performance.now() - begun;
const inBoots = boots === undefined ? '' : `, ${(total / boots).toFixed(1)} cold boots (one took ${seconds(boots)})`;
console.log(`\nTime of the run: ${seconds(total)}${inBoots}`);

const failures = results.flatMap(({ name, status, tests }) =>
  status === 0
    ? []
    : [
        name,
        ...tests
          .filter(({ ok }) => !ok)
          .flatMap(({ file, title, reason }) => [
            `  ${file}: ${title}`,
            ...reason.slice(0, REASON_LINES).map((line) => `      ${line}`),
          ]),
      ],
);
if (failures.length > 0) console.log(`\nFailed:\n${failures.map((line) => `  ${line}`).join('\n')}`);
const sum = (key) => results.reduce((total, result) => total + result[key], 0);
console.log(`\n${sum('passed')} passed, ${sum('failed')} failed`);
process.exitCode = results.every(({ status }) => status === 0) ? 0 : 1;

/** Counts as one test. */
function runScript(name) {
  if (filters.length > 0) fail(`npm test: ${name} has no files to select`);
  const status = run('npm', ['run', '--silent', name]);
  return { status, passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, tests: [] };
}

function runProject(name) {
  const file = join(reports, `${name}.json`);
  const reporters = ['--reporter', 'default', '--reporter', join(ROOT, 'scripts', 'results-reporter.mjs')];
  const vitest = join(ROOT, 'node_modules', '.bin', 'vitest');
  const status = run(vitest, ['run', '--project', name, ...PROJECTS[name], ...reporters, ...filters], {
    env: { ...process.env, QMPILOT_TEST_RESULTS: file },
  });
  const tests = testsOf(file);
  const failed = tests.filter(({ ok }) => !ok).length;
  // A file that does not load, or an error outside of a test, has no test that failed.
  return { status, passed: tests.length - failed, failed: status === 0 ? 0 : Math.max(failed, 1), tests };
}

/** @returns none when Vitest ended before it could report */
function testsOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return [];
  }
}

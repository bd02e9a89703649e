// Runs in a project that has the two packages and Vitest, the optional peer: `node use.mjs VERSION IMAGE_KEY`.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseDuration } from '@qmpilot/core';
import { scan } from '@qmpilot/core/detect';
import { debianImageKey } from '@qmpilot/core/guests';
import { connect } from '@qmpilot/core/qmp';
import { wilsonInterval } from '@qmpilot/core/statistics';

const [version = '', imageKey = ''] = process.argv.slice(2);
assert.equal(process.version, `v${version}`);

const manifest = (name) => JSON.parse(readFileSync(join('node_modules', name, 'package.json'), 'utf8'));
const BIN = join('node_modules', '.bin', 'qmpilot');
function qmpilot(...args) {
  const { status, stdout, stderr } = spawnSync(BIN, args, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

// Every entry point, by import and by require, and no path beside them. Vitest's works inside of Vitest only.
const require = createRequire(import.meta.url);
const entries = Object.keys(manifest('@qmpilot/core').exports).filter((entry) => !entry.endsWith('.json'));
const specifiers = entries.filter((entry) => entry !== './vitest').map((entry) => `@qmpilot/core${entry.slice(1)}`);
for (const specifier of specifiers) {
  const names = Object.keys(await import(specifier));
  assert.ok(names.length > 0, specifier);
  assert.deepEqual(Object.keys(require(specifier)).sort(), names.sort(), `require of ${specifier}`);
}
await assert.rejects(import('@qmpilot/core/dist/index.js'), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' });

const tests = spawnSync(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--dir', '.'], {
  encoding: 'utf8',
});
assert.equal(tests.status, 0, tests.stdout + tests.stderr);

// The library.
const LOG = '[  243.194357] INFO: task npm ci:888 blocked for more than 122 seconds.\n';
assert.deepEqual(
  scan(Buffer.from(LOG)).map(({ kind }) => kind),
  ['hung-task'],
);
assert.equal(parseDuration('3m'), 180_000);
assert.ok(wilsonInterval(1, 10)[1] > 0.1);
for (const name of ['@qmpilot/core', 'qmpilot']) {
  for (const file of ['LICENSE', 'README.md', 'THIRD-PARTY-LICENSES.md'])
    assert.ok(existsSync(join('node_modules', name, file)), `${name}: ${file}`);
}

// The guest's files have come whole: packing leaves out some names, and some modes.
assert.equal(await debianImageKey({}), imageKey);
for (const file of manifest('@qmpilot/core').publishConfig.executableFiles)
  accessSync(join('node_modules/@qmpilot/core', file), constants.X_OK);

// The command.
assert.deepEqual(qmpilot('--version'), { status: 0, stdout: `${manifest('qmpilot').version}\n`, stderr: '' });
writeFileSync('console.log', LOG);
const found = qmpilot('scan', 'console.log');
assert.equal(found.status, 1, found.stderr);
assert.match(found.stdout, /task hung/);
assert.equal(qmpilot('plan', '--rate', '3%').status, 0);
assert.equal(qmpilot('plan', '--no-such').status, 2);

// A scenario in TypeScript comes as far as its kernel, which is not there.
writeFileSync(
  'x.repro.ts',
  `import { defineScenario, direct, type Vm } from '@qmpilot/core';
export default defineScenario({ guest: direct({ kernel: 'no-such-kernel' }), async attempt(vm: Vm): Promise<void> { await vm.exec('true'); } });\n`,
);
const repro = qmpilot('repro', 'x.repro.ts', '--out', 'run');
assert.match(repro.stderr, /no-such-kernel cannot be read/);

// A report, whose page is a file of the package.
mkdirSync('old/attempts', { recursive: true });
writeFileSync(
  'old/run.json',
  JSON.stringify({
    v: 1,
    name: 'old',
    startedAt: '2026-01-31T12:00:00.000Z',
    attempts: 1,
    sessions: [{ end: 'finished' }],
  }),
);
writeFileSync(
  'old/attempts.jsonl',
  `${JSON.stringify({ v: 1, type: 'attempt', index: 1, outcome: 'clean', startedAt: '2026-01-31T12:00:00.000Z', ms: 1, restoreMs: 1, seed: 1, findings: [] })}\n`,
);
const report = qmpilot('report', 'old');
assert.equal(report.status, 0, report.stderr);
assert.match(readFileSync('old/report.html', 'utf8'), /<script/);

// A real QEMU, by the library and by the command.
const qemu = spawn(
  'qemu-system-x86_64',
  ['-M', 'none', '-display', 'none', '-nodefaults', '-qmp', 'unix:qmp.sock,server=on,wait=off'],
  { stdio: 'inherit' },
);
try {
  const qmp = await connected('qmp.sock');
  assert.equal((await qmp.execute('query-status')).running, true);
  await qmp.close();
  assert.match(qmpilot('qmp', 'qmp.sock', 'query-version').stdout, /"major"/);
  const ended = once(qemu, 'close');
  assert.equal(qmpilot('qmp', 'qmp.sock', 'quit').status, 0);
  await ended;
} finally {
  qemu.kill('SIGKILL');
}
console.error(`Node.js ${version}: ${specifiers.join(', ')} and the command work`);

async function connected(path) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await connect({ path });
    } catch (error) {
      if (tries === 100) throw error;
      await delay(50);
    }
  }
}

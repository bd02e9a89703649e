import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runGroup } from './run-group.js';

const JITI = import.meta.resolve('jiti');
const RUN_GROUP = new URL('run-group.ts', import.meta.url).href;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-group-test-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** A shell that has a child, ignores `ignored`, and writes both process ids. */
const script = (ignored: string) =>
  `trap '' ${ignored}; sleep 600 & echo "$$ $!" > pids.new; mv pids.new pids; wait; wait`;
const pids = () =>
  existsSync(join(dir, 'pids')) ? readFileSync(join(dir, 'pids'), 'utf8').trim().split(' ').map(Number) : [];
const alive = () => pids().filter((pid) => existsSync(`/proc/${pid}`));

it.each(['USR1', 'TERM'])(
  'ends the group of a process that was killed by SIGKILL, although it ignores %s',
  async (name) => {
    const program = join(dir, 'program.mjs');
    writeFileSync(
      program,
      `import { createJiti } from ${JSON.stringify(JITI)};
const { runGroup } = await createJiti(import.meta.url).import(${JSON.stringify(RUN_GROUP)});
const options = { env: {}, cwd: ${JSON.stringify(dir)}, what: 'the test', onLine: () => {} };
await runGroup({ program: 'sh', args: ['-c', ${JSON.stringify(script(name))}], ...options });
`,
    );
    const child = spawn(process.execPath, [program], { stdio: 'inherit' });
    await expect.poll(alive, { timeout: 30_000 }).toHaveLength(2);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await expect.poll(alive, { timeout: 30_000 }).toEqual([]);
  },
  60_000,
);

it(
  'never starts the program when the process is killed before its reaper has been started',
  { timeout: 120_000 },
  async () => {
    const program = join(dir, 'program.mjs');
    writeFileSync(
      program,
      `import childProcess from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { createJiti } from ${JSON.stringify(JITI)};
const { spawn } = childProcess;
let first;
childProcess.spawn = (...args) => {
  if (first) {
    writeFileSync('first', String(first.pid));
    process.kill(process.pid, 'SIGKILL');
  }
  return (first = spawn(...args));
};
syncBuiltinESMExports();
const { runGroup } = await createJiti(import.meta.url).import(${JSON.stringify(RUN_GROUP)});
const options = { env: {}, cwd: ${JSON.stringify(dir)}, what: 'the test', onLine: () => {} };
await runGroup({ program: 'sh', args: ['-c', ${JSON.stringify(script('TERM'))}], ...options });
`,
    );
    const child = spawn(process.execPath, [program], { stdio: 'inherit', cwd: dir });
    expect((await once(child, 'exit'))[1]).toBe('SIGKILL');
    const first = Number(readFileSync(join(dir, 'first'), 'utf8'));
    try {
      await expect.poll(() => existsSync(`/proc/${first}`), { timeout: 30_000 }).toBe(false);
      expect(pids()).toEqual([]);
    } finally {
      for (const pid of alive()) process.kill(pid, 'SIGKILL');
    }
  },
);

it('ends a group that ignores SIGTERM when it is cancelled', { timeout: 60_000 }, async () => {
  const stop = new AbortController();
  const running = runGroup({
    ...{ program: 'sh', args: ['-c', script('TERM')], env: {}, cwd: dir, what: 'the test' },
    onLine: () => {},
    signal: stop.signal,
  });
  const ended = expect(running).rejects.toMatchObject({ code: 'ABORTED' });
  await expect.poll(alive, { timeout: 30_000 }).toHaveLength(2);
  stop.abort();
  await ended;
  await expect.poll(alive, { timeout: 30_000 }).toEqual([]);
});

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSnapshot } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const CORE = fileURLToPath(new URL('../../../packages/core/dist/index.js', import.meta.url));

describe('a controller that is killed while it saves a snapshot', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'saved-kill-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('leaves no incomplete snapshot, and the next save removes what it had begun', async () => {
    const whole = join(folder, 'whole');
    const script = `import { boot, debian, openSnapshot } from ${JSON.stringify(CORE)};
      const vm = await boot(debian({ defect: 'io-uring-unlocked-flush' }));
      const snapshot = await vm.snapshot('a');
      await snapshot.save(${JSON.stringify(whole)});
      console.log('saved');
      for (let i = 0; ; i += 1) await snapshot.save(${JSON.stringify(folder)} + '/again-' + i);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const gone = new Promise((resolve) => child.once('exit', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await expect
      .poll(() => readdirSync(folder).some((name) => name.startsWith('.again-')), { interval: 1, timeout: 60_000 })
      .toBe(true);
    child.kill('SIGKILL');
    await gone;
    const names = await readdir(folder);
    for (const name of names.filter((one) => !one.startsWith('.')))
      await (await openSnapshot(join(folder, name))).close();
    await using snapshot = await openSnapshot(whole);
    await snapshot.save(join(folder, 'next'));
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

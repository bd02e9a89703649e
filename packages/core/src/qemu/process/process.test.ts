import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { QemuProcess } from './process.js';

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'qmpilot-process-test-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function program(name: string, text: string): string {
  writeFileSync(join(dir, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return join(dir, name);
}

it('hands arguments on as they are, whatever a shell would make of them', async () => {
  const path = program('qemu', `printf '%s\\n' "$@" > "${dir}/args"`);
  const args = ['-name', 'a b', '$HOME', '*', "it's", '`id`', ''];
  const qemu = await QemuProcess.spawn({ path, args, channels: 0, directory: dir });
  await qemu.exited;
  expect(readFileSync(join(dir, 'args'), 'utf8')).toBe(args.map((arg) => `${arg}\n`).join(''));
});

it('begins nothing for a controller that was killed before the child asked for its death signal', async () => {
  const qemu = program('qemu', `touch "${dir}/began"`);
  program(
    'setpriv',
    `echo $$ > "${dir}/child"; while [ ! -e "${dir}/orphaned" ]; do sleep 0.01; done; exec /usr/bin/setpriv "$@"`,
  );
  const controller = join(dir, 'controller.mjs');
  writeFileSync(
    controller,
    `import { createJiti } from ${JSON.stringify(import.meta.resolve('jiti'))};
     const { QemuProcess } = await createJiti(import.meta.url).import(${JSON.stringify(join(import.meta.dirname, 'process.ts'))});
     void QemuProcess.spawn({ path: ${JSON.stringify(qemu)}, args: [], channels: 0, directory: ${JSON.stringify(dir)} });`,
  );
  const child = spawn(process.execPath, [controller], {
    env: { ...process.env, PATH: `${dir}:${process.env['PATH']}` },
    stdio: 'ignore',
  });
  const gone = new Promise((resolve) => child.once('close', resolve));
  await expect
    .poll(() => existsSync(join(dir, 'child')) && readFileSync(join(dir, 'child'), 'utf8').endsWith('\n'), {
      timeout: 15_000,
    })
    .toBe(true);
  const held = readFileSync(join(dir, 'child'), 'utf8').trim();
  child.kill('SIGKILL');
  await gone;
  writeFileSync(join(dir, 'orphaned'), '');
  await expect.poll(() => existsSync(`/proc/${held}`), { timeout: 10_000 }).toBe(false);
  expect(existsSync(join(dir, 'began'))).toBe(false);
});

it('tells the end of a QEMU that has not read all it was sent by its exit alone', async () => {
  const path = program('qemu', 'exec sleep 60');
  const qemu = await QemuProcess.spawn({ path, args: [], channels: 2, directory: dir, onLine: () => {} });
  const resets = qemu.channels.map(
    (channel) => new Promise<string>((resolve) => channel.once('close', () => resolve(channel.errored?.message ?? ''))),
  );
  for (const channel of qemu.channels) channel.write('unread');
  qemu.sendSignal('SIGTERM');
  expect(await qemu.exited).toEqual({ code: null, signal: 'SIGTERM' });
  // Nobody else listens to them: an 'error' event that is not heard would end this process.
  expect(await Promise.all(resets)).toEqual(['read ECONNRESET', 'read ECONNRESET']);
});

import { openPty, type Pty } from '@qmpilot/core/testing';
import { afterEach, expect, it } from 'vitest';
import { Channel } from '../../../../packages/core/src/console/channel.js';
import { ConsoleShell } from '../../../../packages/core/src/shell/console-shell/console-shell.js';
import { ConsolePool } from '../../../../packages/core/src/vm/shells/console-pool.js';

const ptys: Pty[] = [];
afterEach(() => {
  for (const pty of ptys.splice(0)) pty.close();
});

function shellOn(name: string): ConsoleShell {
  const pty = openPty('bash --norc');
  ptys.push(pty);
  const channel = new Channel(name);
  channel.attach(pty.stream);
  return new ConsoleShell(channel);
}

/** A pool over bash on this host, with consoles hvc0, hvc2 and hvc3. */
async function makePool(): Promise<{ pool: ConsolePool; main: ConsoleShell }> {
  const main = shellOn('hvc0');
  await main.ready({ timeout: '30s' });
  const names = ['hvc2', 'hvc3'];
  const open = async () => {
    const name = names.shift();
    if (name === undefined) return undefined;
    const shell = shellOn(name);
    await shell.ready({ timeout: '30s' });
    return shell;
  };
  return { pool: new ConsolePool(main, open, () => {}), main };
}

it('runs commands on several consoles at once, and short ones on the main one alone', async () => {
  const { pool } = await makePool();
  let running = 0;
  let most = 0;
  const run = (command: string) =>
    pool.use(command, undefined, async (shell) => {
      most = Math.max(most, (running += 1));
      await shell.exec(command);
      running -= 1;
      return shell.name;
    });
  expect(await run('true')).toBe('shell on hvc0');
  const names = await Promise.all(Array.from({ length: 12 }, () => run('sleep 0.5')));
  expect(most).toBe(3);
  expect(new Set(names).size).toBe(3);
});

it('lets commands past one that hangs, and names what runs to one that times out', async () => {
  const { pool } = await makePool();
  const run = (command: string, timeout?: number) => {
    const signal = timeout === undefined ? undefined : AbortSignal.timeout(timeout);
    return pool.use(command, signal, (shell) => shell.exec(command, { signal }));
  };
  const stop = new AbortController();
  const hung = Array.from({ length: 3 }, () =>
    pool.use('sleep 1000', undefined, (shell) => shell.exec('sleep 1000', { signal: stop.signal })),
  ).map((one) => one.catch((error: unknown) => error));
  await expect(run('true', 4000)).rejects.toMatchObject({
    code: 'ABORTED',
    message: expect.stringMatching(/waiting for true, behind "sleep 1000" \(running for .*\)/),
  });
  stop.abort();
  await Promise.all(hung);
  expect((await run('echo again')).stdout).toBe('again\n');
});

it('waits for a shell that runs a command of its own, and takes it when that has ended', async () => {
  const { pool, main } = await makePool();
  const own = main.exec('sleep 0.3');
  expect(await pool.use('true', undefined, async (shell) => (await shell.exec('echo $((6 * 7))')).stdout)).toBe('42\n');
  await own;
});

it('refuses commands that wait for a console when the VM is closed, and those that come later', async () => {
  const { pool } = await makePool();
  pool.reserveMain();
  const stop = new AbortController();
  const run = (command: string) =>
    pool.use(command, undefined, (shell) => shell.exec(command, { signal: stop.signal }));
  const hung = ['sleep 1000', 'sleep 1000'].map((command) => run(command).catch((error: unknown) => error));
  const waiting = run('true');
  pool.close();
  await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' });
  await expect(run('true')).rejects.toMatchObject({ code: 'CLOSED' });
  stop.abort();
  await Promise.all(hung);
});

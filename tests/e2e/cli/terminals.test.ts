import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BIN, environment, qmpilot, stopVmsAtEnd } from './command-line.js';

stopVmsAtEnd();
beforeAll(async () => {
  expect((await qmpilot('boot', '--cache', '--name', 'web', 'debian')).stdout).toBe('web\n');
});
afterAll(() => void execFileSync('tmux', ['-L', 'qmpilot-test', 'kill-server'], { stdio: 'ignore' }));

const COMMAND = `'${process.execPath}' '${BIN}'`;
const tmux = (...args: string[]) =>
  execFileSync('tmux', ['-L', 'qmpilot-test', ...args], { encoding: 'utf8', env: environment() });
const pane = (session: string) => tmux('capture-pane', '-p', '-t', session);

describe('the terminal of a command', () => {
  it('has two terminals at its console at once; Ctrl-] leaves, and the VM continues', async () => {
    for (const session of ['one', 'two']) {
      tmux('new-session', '-d', '-s', session, '-x', '100', '-y', '30', 'sh');
      tmux('send-keys', '-t', session, `${COMMAND} console web`, 'Enter');
    }
    await expect
      .poll(() => ['one', 'two'].filter((session) => pane(session).includes('root@qmpilot')), { timeout: 20_000 })
      .toEqual(['one', 'two']);
    tmux('send-keys', '-t', 'one', 'echo typed by $((1 + 0))', 'Enter');
    await expect.poll(() => pane('two'), { timeout: 20_000 }).toContain('typed by 1\n');
    tmux('send-keys', '-t', 'two', "printf '\\033]0;title-of-the-guest\\007'", 'Enter');
    tmux('send-keys', '-t', 'two', 'echo typed by $((1 + 1))', 'Enter');
    await expect.poll(() => pane('one'), { timeout: 20_000 }).toContain('typed by 2\n');
    expect(tmux('display-message', '-p', '-t', 'one', '#{pane_title}')).not.toContain('title-of-the-guest');
    // The guest's terminal takes the size of the client that attached or resized last.
    tmux('resize-window', '-t', 'two', '-x', '90', '-y', '25');
    await expect
      .poll(async () => (await qmpilot('exec', 'web', 'stty -F /dev/ttyS0 size')).stdout, { timeout: 20_000 })
      .toBe('25 90\n');
    tmux('resize-window', '-t', 'two', '-x', '100', '-y', '30');
    // The second key may reach the shell below.
    tmux('send-keys', '-t', 'one', 'C-]', 'C-]');
    await expect.poll(() => pane('one'), { timeout: 20_000 }).toContain('the VM keeps running');
    // The terminal is as it was: the shell echoes and edits again.
    tmux('send-keys', '-t', 'one', 'C-u', 'echo back at $((40 + 2))', 'Enter');
    await expect.poll(() => pane('one'), { timeout: 20_000 }).toContain('back at 42\n');
    tmux('send-keys', '-t', 'two', 'echo still $((2 + 2))', 'Enter');
    await expect.poll(() => pane('two'), { timeout: 20_000 }).toContain('still 4\n');
  });

  it('says at Ctrl-C what it ends: the command, not the VM', async () => {
    const child = spawn(process.execPath, [BIN, 'exec', 'web', 'echo up; sleep 100'], {
      env: environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdout.once('data', () => child.kill('SIGINT'));
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(130);
    expect(stderr).toContain('killing the command');
    await expect
      .poll(async () => (await qmpilot('exec', 'web', 'pgrep -xc sleep')).stdout, { timeout: 20_000 })
      .toBe('0\n');
  });

  it('runs a command while another one hangs', async () => {
    const hung = spawn(process.execPath, [BIN, 'exec', 'web', 'sleep 12345'], {
      env: environment(),
      stdio: 'ignore',
    });
    const ended = once(hung, 'close');
    expect(
      await qmpilot('exec', '--timeout', '90s', 'web', 'until pgrep -f [1]2345; do sleep 0.1; done'),
    ).toMatchObject({ code: 0 });
    hung.kill('SIGINT');
    expect(await ended).toEqual([130, null]);
  });

  it('is that of a program by exec --tty, which gets all that is typed, the size, and gives its exit status', async () => {
    tmux('new-session', '-d', '-s', 'tty', '-x', '91', '-y', '27', 'sh');
    const program = 'read -r first; read -r second; echo "$first and $second at $(stty size)"; exit 7';
    // Typed ahead, most likely before the program runs.
    const line = `${COMMAND} exec --tty web '${program}'; echo "status $?"`;
    tmux('send-keys', '-t', 'tty', line, 'Enter');
    tmux('send-keys', '-t', 'tty', 'one', 'Enter');
    await expect.poll(() => pane('tty'), { timeout: 30_000 }).toContain('one');
    tmux('send-keys', '-t', 'tty', 'two', 'Enter');
    await expect.poll(() => pane('tty'), { timeout: 30_000 }).toContain('one and two at 27 91');
    await expect.poll(() => pane('tty'), { timeout: 30_000 }).toContain('status 7');
    tmux('send-keys', '-t', 'tty', `clear; ${COMMAND} exec --tty web 'echo up; sleep 4321'; echo "status $?"`, 'Enter');
    await expect.poll(() => pane('tty'), { timeout: 30_000 }).toContain('up\n');
    const shell = tmux('display-message', '-p', '-t', 'tty', '#{pane_pid}').trim();
    process.kill(Number(execFileSync('pgrep', ['-P', shell], { encoding: 'utf8' })), 'SIGTERM');
    await expect.poll(() => pane('tty'), { timeout: 30_000 }).toContain('status 143');
    expect((await qmpilot('wait', 'web', '--fails', 'pgrep -f [4]321')).code).toBe(0);
  });
});

import { existsSync, readFileSync } from 'node:fs';
import { openPty } from '@qmpilot/core/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Channel } from '../../../../packages/core/src/console/channel.js';
import type { ConsoleShell } from '../../../../packages/core/src/shell/console-shell/console-shell.js';
import { ptys, shellOn } from '../../../support/shell-on-pty.js';

describe('ConsoleShell on a bash with prompt and echo', () => {
  let shell: ConsoleShell;
  let channel: Channel;
  beforeAll(async () => {
    ({ shell, channel } = shellOn('bash --norc'));
    await shell.ready({ timeout: '10s' });
  });

  const table: readonly [string, string, { exitCode?: number; stdout?: string; stderr?: string; signal?: string }][] = [
    ['output and exit code', 'echo hi; exit 3', { stdout: 'hi\n', exitCode: 3 }],
    ['both outputs apart', 'echo o; echo e >&2', { stdout: 'o\n', stderr: 'e\n' }],
    ['no newline at the end', 'printf abc', { stdout: 'abc' }],
    ['quotes, dollars, backslashes', `printf '%s' "a'b\\"c\\$d\\\\e"; echo ' !!'`, { stdout: `a'b"c$d\\e !!\n` }],
    ['several lines and a here-document', 'cat <<EOF\none $((1+1))\nEOF\necho two', { stdout: 'one 2\ntwo\n' }],
    ['a comment at the end', 'echo x # not y', { stdout: 'x\n' }],
    ['exit code 255', 'exit 255', { exitCode: 255 }],
    ['death by a signal', 'kill -SEGV $BASHPID', { exitCode: 139, signal: 'SIGSEGV' }],
    ['a program killed by a signal', `sh -c 'kill -9 $$'`, { exitCode: 137, signal: 'SIGKILL' }],
    ['a command that is not there', 'nosuchcommand-x', { exitCode: 127 }],
    ['a syntax error', 'if then', { exitCode: 2 }],
    ['UTF-8', 'echo gr\u00fc\u00dfe \u4f60', { stdout: 'gr\u00fc\u00dfe \u4f60\n' }],
    ['background children', '(sleep 30; echo late) & echo now', { stdout: 'now\n' }],
    ['nothing at all', ':', {}],
    ['no terminal as output', '[ -t 0 ] || [ -t 1 ] || [ -t 2 ] || echo none', { stdout: 'none\n' }],
    [
      'no positional parameters and none of our variables',
      'echo "$#" ${!__q@} $(compgen -v | grep -x "[a-z]")',
      { stdout: '0\n' },
    ],
  ];
  it.each(table)('runs a command with %s', async (_title, command, want) => {
    const result = await shell.exec(command, { timeout: '10s' });
    expect({
      ...result,
      stderr: want.stderr === undefined && result.exitCode !== 0 ? '' : result.stderr,
    }).toMatchObject({
      exitCode: 0,
      stdout: '',
      stderr: '',
      ...want,
    });
  });

  it('keeps commands apart: directory, variables and options of one are gone in the next', async () => {
    await shell.exec('cd /usr; x=1; set -e; set -f');
    expect((await shell.exec('echo "$PWD" "$x" "$-"')).stdout).toBe(`${process.cwd()}  hmBc\n`);
  });

  it('passes every byte value out, on both outputs, NUL included', async () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const result = await shell.exec('cat; printf "\\0\\1\\377" >&2', { input: all });
    expect(result.stdoutBytes).toEqual(all);
    expect(result.stderrBytes).toEqual(Buffer.of(0, 1, 255));
  });

  it('takes 1 MB of binary input and gives it back', async () => {
    const data = Buffer.from(Array.from({ length: 1_000_000 }, (_, i) => (i * 7919 + (i >> 8)) & 255));
    const result = await shell.exec('cat', { input: data, timeout: '20s' });
    expect(result.stdoutBytes.equals(data)).toBe(true);
  });

  it.each([0, 1, 2047, 2048, 2049, 32_767, 32_768, 32_769, 65_536])(
    'keeps an output of %d bytes whole',
    async (length) => {
      const { stdoutBytes } = await shell.exec(`head -c ${length} /dev/zero`);
      expect(stdoutBytes).toEqual(Buffer.alloc(length));
    },
  );

  it('sets environment, directory and user', async () => {
    const options = { env: { A: `it's "x"\n$y` }, cwd: '/usr/lib' };
    expect((await shell.exec('printf %s "$PWD|$A"', options)).stdout).toBe(`/usr/lib|it's "x"\n$y`);
    await expect(shell.exec('echo no', { cwd: '/no such' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'cwd: "/no such" is not a directory of the guest that can be entered; the command was not run',
    });
    await expect(shell.exec('echo no', { user: 'no-such' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'user: the guest has no user "no-such"; the command was not run',
    });
    expect(await shell.exec('exit 1', { cwd: '/usr/lib' })).toMatchObject({ exitCode: 1 });
    expect((await shell.exec(['printf', '<%s>', 'a b', "it's", ''])).stdout).toBe("<a b><it's><>");
  });

  it('counts the time in its queue, and names the command in front', async () => {
    const stop = new AbortController();
    const long = shell.exec('sleep 60', { signal: stop.signal }).catch((error: unknown) => error);
    await expect(shell.exec('true', { timeout: 500 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringMatching(/^timed out after .* waiting for "true", behind "sleep 60" \(running for .*\)$/),
    });
    stop.abort();
    await long;
    expect((await shell.exec('echo on')).stdout).toBe('on\n');
  });

  it('keeps the output up to the limit in the evidence of OUTPUT_LIMIT', async () => {
    await expect(shell.exec('seq 100000', { maxOutput: 10 })).rejects.toMatchObject({
      code: 'OUTPUT_LIMIT',
      evidence: { stdout: ['1', '2', '3', '4', '5'] },
    });
  });

  it('refuses a NUL in the command with USAGE', async () => {
    await expect(shell.exec('echo \0')).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('throws COMMAND_FAILED with the output from expectOk', async () => {
    const error: unknown = await shell.expectOk('echo why >&2; exit 4').catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'COMMAND_FAILED',
      message: '"echo why >&2; exit 4" ended with exit code 4: why',
    });
  });

  it('kills a command when its time is up, shows its output until then, and goes on', async () => {
    const error: unknown = await shell
      .exec('echo begun; trap "" INT TERM; sleep 60', { timeout: 300 })
      .catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'TIMEOUT', evidence: { stdout: ['begun'] } });
    expect((await shell.exec('echo alive', { timeout: 2000 })).stdout).toBe('alive\n');
  });

  it('kills a command when the signal fires', async () => {
    const abort = new AbortController();
    const running = shell.exec('sleep 60', { signal: abort.signal });
    const next = shell.exec('echo next');
    setTimeout(() => abort.abort(), 100);
    await expect(running).rejects.toMatchObject({ code: 'ABORTED' });
    expect((await next).stdout).toBe('next\n');
  });

  it('runs concurrent calls one after the other, in order', async () => {
    const results = await Promise.all(Array.from({ length: 150 }, (_, i) => shell.exec(`echo ${i}`)));
    expect(results.map((r) => r.stdout).join('')).toBe(Array.from({ length: 150 }, (_, i) => `${i}\n`).join(''));
  });

  it('runs a command also when the subshell that waited for it was killed', async () => {
    await shell.exec('for p in $(pgrep -P $$); do [ "$p" = $BASHPID ] || kill -9 "$p"; done');
    expect(await shell.exec('echo here; exit 7')).toMatchObject({ stdout: 'here\n', exitCode: 7 });
  });

  it('keeps the files of a few commands only', async () => {
    for (let count = 0; count < 130; count += 1) await shell.exec(':');
    const files = Number(
      (await shell.exec('ls /run/qmpilot-shell.$$ /dev/shm/qmpilot-shell.$$ /tmp/qmpilot-shell.$$ 2>/dev/null | wc -l'))
        .stdout,
    );
    expect(files).toBeLessThan(150);
  });

  it('leaves no subshell behind when the agent is killed', async () => {
    const own = shellOn('bash --norc').shell;
    const pids = (await own.exec('echo $$; pgrep -P $$ | grep -v "^$BASHPID$"')).stdout.trim().split('\n').map(Number);
    expect(pids.length).toBeGreaterThan(1);
    process.kill(pids[0] ?? 0, 'SIGKILL');
    await expect
      .poll(
        () =>
          pids.filter((pid) => existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`).length > 0),
        { timeout: 5000 },
      )
      .toEqual([]);
    own.close();
  });

  it('answers again after stale bytes and a restore to the same agent', async () => {
    await channel.write('half a line of before');
    await shell.ready({ timeout: 3000 });
    expect((await shell.exec('echo ok')).stdout).toBe('ok\n');
  });

  it('kills a command whose output exceeds maxOutput, shows its beginning, and stays usable', async () => {
    const error: unknown = await shell
      .exec('echo first; head -c 30000000 /dev/zero | tr "\\0" x', { maxOutput: 1000, timeout: '20s' })
      .catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'OUTPUT_LIMIT', message: expect.stringContaining('more than 1000 bytes') });
    expect((await shell.exec('echo on', { timeout: 5000 })).stdout).toBe('on\n');
  });
});

describe('ConsoleShell and its channel', () => {
  it('says soon that a login took its terminal, with what it printed and the remedy', async () => {
    const { shell, channel } = shellOn('bash --norc');
    await shell.ready({ timeout: '10s' });
    const login = `printf 'Debian GNU/Linux 12 web hvc0\\n\\nweb login: ' >/dev/tty`;
    await expect(shell.exec(`${login}; sleep 60`, { timeout: '20s' })).rejects.toMatchObject({
      code: 'SHELL_LOST',
      message: expect.stringMatching(/^a login took the terminal of /),
      hint: `the guest starts a getty on this console: mask serial-getty@${channel.name}.service there`,
      evidence: { console: ['Debian GNU/Linux 12 web hvc0', 'web login: '] },
    });
    channel.close();
  });

  it('works on a bash without prompt', async () => {
    const { shell } = shellOn('bash --norc 2>/dev/null');
    await shell.ready({ timeout: '10s' });
    expect((await shell.exec('echo $((6*7))')).stdout).toBe('42\n');
  });

  it('says SHELL_LOST where no bash answers', async () => {
    const { shell } = shellOn('cat');
    await expect(shell.ready({ timeout: 1500 })).rejects.toMatchObject({ code: 'SHELL_LOST' });
  });

  it('says SHELL_LOST when a command kills the shell itself, and works with the bash that comes in its place', async () => {
    const { shell } = shellOn('while :; do bash --norc; done');
    await shell.ready({ timeout: '10s' });
    await expect(shell.exec('kill -9 $$')).rejects.toMatchObject({ code: 'SHELL_LOST' });
    expect(await shell.exec('echo new', { timeout: '10s' })).toMatchObject({ stdout: 'new\n', via: 'console' });
    await expect(shell.stream('kill -9 $$ 0', { timeout: '20s' }).result).rejects.toMatchObject({
      code: 'SHELL_LOST',
      message: expect.stringContaining('kill -9'),
    });
    expect((await shell.exec('echo newer', { timeout: '10s' })).stdout).toBe('newer\n');
  });

  it('rejects a running command when the channel ends', async () => {
    const { shell, channel } = shellOn('bash --norc');
    await shell.ready({ timeout: '10s' });
    const running = shell.exec('sleep 60');
    setTimeout(() => ptys.at(-1)?.close(), 100);
    await expect(running).rejects.toMatchObject({ code: 'CONSOLE_CLOSED' });
    expect(channel.state).toBe('ended');
  });

  it('installs itself again when another guest is attached', async () => {
    const { shell, channel } = shellOn('bash --norc');
    await shell.ready({ timeout: '10s' });
    const other = openPty('bash --norc');
    ptys.push(other);
    channel.attach(other.stream);
    expect((await shell.exec('echo again', { timeout: '10s' })).stdout).toBe('again\n');
  });
});

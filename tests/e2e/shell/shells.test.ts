import { createHash } from 'node:crypto';
import { boot, debian, type GuestDescription, type Shell, type Vm } from '@qmpilot/core';
import { openSsh, type SshShell } from '@qmpilot/core/ssh';
import type { ShellKind } from '@qmpilot/core/vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface Want {
  readonly exitCode?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly signal?: string;
}

/** What every way into the guest has to do alike. */
const TABLE: readonly [title: string, command: string, want: Want][] = [
  ['both outputs apart', 'echo o; echo e >&2', { stdout: 'o\n', stderr: 'e\n' }],
  ['quotes, dollars, backslashes', `printf '%s' "a'b\\"c\\$d\\\\e"; echo ' !!'`, { stdout: `a'b"c$d\\e !!\n` }],
  ['several lines and a here-document', 'cat <<EOF\none $((1+1))\nEOF\necho two', { stdout: 'one 2\ntwo\n' }],
  ['UTF-8', 'echo gr\u00fc\u00dfe \u4f60', { stdout: 'gr\u00fc\u00dfe \u4f60\n' }],
  ['a syntax error', 'if then', { exitCode: 2 }],
  ['a command that is not there', 'nosuchcommand-x', { exitCode: 127 }],
  ['death by a signal', 'kill -SEGV $BASHPID', { exitCode: 139, signal: 'SIGSEGV' }],
  ['a program killed by a signal', `sh -c 'kill -9 $$'`, { exitCode: 137, signal: 'SIGKILL' }],
  ['background children that outlive it', '(sleep 20; echo late) & echo now', { stdout: 'now\n' }],
  ['no newline at the end', 'printf abc', { stdout: 'abc' }],
];

const SOME_CODES = [0, 1, 127, 129, 255];
const CODES: Readonly<Record<ShellKind, readonly number[]>> = {
  'console': Array.from({ length: 256 }, (_, code) => code),
  'guest-agent': SOME_CODES,
  'ssh': SOME_CODES,
  'serial': SOME_CODES,
};

const MB = 1_000_000;
/** What passes in a few seconds; with QMPILOT_TEST_FULL=1 it is 100 MB everywhere, which takes a minute over hvc0 and half an hour over serial. */
const VOLUMES: Readonly<Record<ShellKind, number>> = {
  'console': 10 * MB,
  'guest-agent': 100 * MB,
  'ssh': 100 * MB,
  'serial': MB / 2,
};
const volume = (via: ShellKind) => (process.env['QMPILOT_TEST_FULL'] === '1' ? 100 * MB : VOLUMES[via]);

function binary(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 7919 + (i >> 8)) & 255));
}

describe('the shells of one guest', () => {
  let vm: Vm;
  let ssh: SshShell;
  beforeAll(async () => {
    vm = await boot(debian({ network: 'user' }), { cache: true });
    ssh = await openSsh(vm);
    await vm.expectOk('head -c 100000000 /dev/urandom > /var/tmp/big');
  });
  afterAll(async () => {
    ssh.close();
    await vm.close();
  });

  describe.each<ShellKind>(['console', 'guest-agent', 'ssh', 'serial'])('over %s', (via) => {
    const exec = (command: string, options = {}) =>
      via === 'ssh'
        ? ssh.exec(command, { timeout: '2m', ...options })
        : vm.exec(command, { via, timeout: '2m', ...options });

    it.each(TABLE)('runs a command with %s', async (_title, command, want) => {
      const result = await exec(command);
      expect({ ...result, stderr: want.stderr === undefined ? '' : result.stderr }).toMatchObject({
        exitCode: 0,
        stdout: '',
        stderr: '',
        via,
        ...want,
      });
    });

    it('gives exit codes as they are', async () => {
      const codes = CODES[via];
      const seen: number[] = [];
      for (const code of codes) seen.push((await exec(`exit ${code}`)).exitCode);
      expect(seen).toEqual(codes);
    });

    it('takes 1 MB of binary input (100 KB over serial) and gives it back on both outputs', async () => {
      const input = binary(via === 'serial' ? 100_000 : 1_000_000);
      const result = await exec('tee /dev/fd/2', { input });
      expect(result.stdoutBytes.equals(input)).toBe(true);
      expect(result.stderrBytes.equals(input)).toBe(true);
    });

    it('sets environment, directory and user', async () => {
      const result = await exec('printf %s "$PWD|$A|$(id -un)"', {
        env: { A: `it's "x"\n$y` },
        cwd: '/usr/lib',
        user: 'nobody',
      });
      expect(result.stdout).toBe(`/usr/lib|it's "x"\n$y|nobody`);
    });

    it('kills a command that takes no signal when its time is up, and goes on', async () => {
      const error: unknown = await exec('echo begun; trap "" INT TERM; while :; do sleep 1; done', {
        timeout: '3s',
      }).catch((e: unknown) => e);
      expect(error).toMatchObject({ code: 'TIMEOUT' });
      expect((await exec('echo alive')).stdout).toBe('alive\n');
    });

    it('cancels a command at any moment, also before it has started, and leaves nothing of it running', async () => {
      for (const timeout of [50, 400, 800]) {
        const name = `cancelled-${via}-${timeout}`;
        const command = `trap "" INT TERM; exec -a ${name} sleep 1000`;
        await expect(exec(command, { timeout })).rejects.toMatchObject({ code: 'TIMEOUT' });
        // A timeout holds within a second; a command that was not killed by then is killed afterwards.
        await expect
          .poll(async () => (await exec(`pgrep -fx '${name} 1000' || echo none`)).stdout, { timeout: 60_000 })
          .toBe('none\n');
      }
    });

    it('refuses a NUL with USAGE', async () => {
      await expect(exec('echo \0')).rejects.toMatchObject({ code: 'USAGE' });
    });

    it(`passes ${volume(via) / MB} MB without loss, also to a host that is busy`, { timeout: 3_600_000 }, async () => {
      const size = volume(via);
      const want = (await vm.expectOk(`head -c ${size} /var/tmp/big | md5sum`)).stdout.slice(0, 32);
      const shell = via === 'ssh' ? ssh : via === 'console' ? vm.shell : await vm.openShell({ via });
      const hash = createHash('md5');
      let [bytes, blocked] = [0, 0];
      for await (const chunk of shell.stream(`head -c ${size} /var/tmp/big`, { timeout: '1h' })) {
        hash.update(chunk.bytes);
        bytes += chunk.bytes.length;
        // The event loop, as a caller's own work would hold it.
        if (bytes > ((blocked + 1) * size) / 6)
          for (const end = ((blocked += 1), performance.now() + 500); performance.now() < end;);
      }
      expect([bytes, hash.digest('hex')]).toEqual([size, want]);
    });
  });

  it.each(['dash', 'busybox sh'])(
    'works over serial at the prompt of %s, also after a command that was cancelled',
    async (shell) => {
      const onTerminal = async () => (await vm.exec('ps -t ttyS0 -o args=')).stdout.split('\n');
      await vm.console.type(`PS1='root@qmpilot:~# ' ${shell}\n`);
      await expect.poll(onTerminal, { timeout: 60_000 }).toContain(shell);
      const exec = (command: string, options: object) => vm.exec(command, { via: 'serial', timeout: '2m', ...options });
      const input = binary(5000);
      for (const timeout of [50, 600]) {
        const command = exec('trap "" INT TERM; while :; do sleep 1; done', { timeout });
        await expect(command).rejects.toMatchObject({ code: 'TIMEOUT' });
        const result = await exec('cat; exit 3', { input });
        expect([result.exitCode, result.stdoutBytes.equals(input)]).toEqual([3, true]);
      }
      await vm.console.type('exit\n');
      await expect.poll(onTerminal, { timeout: 60_000 }).not.toContain(shell);
    },
  );

  it('works over serial while the kernel floods the line, and leaves the half-typed line and the kernel its words', async () => {
    await vm.console.type('echo half-');
    await vm.console.expect('echo half-');
    await vm.exec(
      'sysctl -q kernel.printk_devkmsg=on; (while [ ! -e /run/quiet ]; do echo "<1>noise $((i += 1))" > /dev/kmsg; sleep 0.005; done; echo "<1>no more" > /dev/kmsg) >/dev/null 2>&1 &',
    );
    const from = vm.console.position;
    const result = await vm.exec('head -c 20000 /dev/zero; echo err >&2; exit 9', { via: 'serial', timeout: '2m' });
    expect([result.exitCode, result.stdoutBytes.length, result.stderr]).toEqual([9, 20_000, 'err\n']);
    expect(result.consoleLines?.filter((line) => /noise \d+$/.test(line)).length).toBeGreaterThan(5);
    expect(vm.console.textBetween(from)).not.toContain('\ufffd');
    await vm.exec('touch /run/quiet');
    await vm.console.expect('no more', { timeout: '1m' });
    await vm.console.type('typed\n');
    await vm.console.expect(/^half-typed$/m);
  });

  it('gives further shells, which outlive one that hangs, and whose consoles are free again after close', async () => {
    const shells: Shell[] = [await vm.openShell(), await vm.openShell()];
    const hung = shells[0]?.exec('sleep 1000').catch((error: unknown) => error);
    expect((await shells[1]?.exec('ps -o tty= -p $$'))?.stdout.trim()).toBe('hvc3');
    await expect(vm.openShell({ via: 'console' })).rejects.toMatchObject({ code: 'USAGE' });
    expect((await vm.openShell()).kind).toBe('guest-agent');
    shells[1]?.close();
    await expect
      .poll(async () => (await vm.openShell({ via: 'console' }).catch(() => undefined))?.kind, { timeout: 20_000 })
      .toBe('console');
    void hung;
  });

  it('connects by SSH again after a restore, and to no daemon that shows another host key', async () => {
    await vm.snapshot('connected');
    await vm.restore('connected');
    const again = () => ssh.exec('echo again', { timeout: '1m' });
    expect((await again().catch(again)).stdout).toBe('again\n');
    await vm.expectOk(
      'kill $(cat /run/qmpilot-ssh/pid); dropbearkey -t ed25519 -f /run/other >/dev/null; dropbear -s -r /run/other -p 22022 -P /run/qmpilot-ssh/pid </dev/null >/dev/null 2>&1',
    );
    await expect(openSsh(vm, { timeout: '20s' })).rejects.toMatchObject({ code: 'SHELL_LOST' });
  });

  it('falls back to the agent when the shell on hvc0 is gone, and says so', async () => {
    await vm.samplingShell.expectOk(
      'systemctl stop qmpilot-shell@hvc0.service; pkill -9 -f "eval .*__qA" -t hvc0 || true; systemctl mask --now --runtime qmpilot-shell@hvc0.service',
    );
    await vm.shell.exec('true', { timeout: 1000 }).catch(() => {});
    expect(await vm.exec('echo still', { timeout: '1m' })).toMatchObject({ stdout: 'still\n', via: 'guest-agent' });
  });
});

it('says USAGE for each way into a guest that has none, while its console shows what it does', async () => {
  const description = debian();
  const mute: GuestDescription = {
    ...description,
    async prepare(context) {
      const {
        shell: _shell,
        samplingShell: _sampling,
        login: _login,
        spareConsoles: _spare,
        ...guest
      } = await description.prepare(context);
      return { ...guest, virtioConsoles: [], guestAgent: false };
    },
  };
  await using vm = await boot(mute);
  const attempts = [
    () => vm.exec('true'),
    () => vm.exec('true', { via: 'guest-agent' }),
    () => vm.openShell(),
    () => vm.bestShell(),
    () => vm.copyOut('/etc/hostname', '/nonexistent/x'),
  ];
  for (const attempt of attempts) {
    await expect(attempt()).rejects.toMatchObject({ code: 'USAGE', message: expect.stringMatching(/has no shell/) });
  }
  expect(() => vm.shell).toThrow(expect.objectContaining({ code: 'USAGE' }));
  await vm.console.expect('Linux version', { from: 0, timeout: '1m' });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { boot, debian, type Shell, type Vm, type VmShellKind } from '@qmpilot/core';

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

const MEGABYTE = Buffer.from(Array.from({ length: 1_000_000 }, (_, i) => (i * 7919 + (i >> 8)) & 255));

describe('the shells of one guest', () => {
  let vm: Vm;
  beforeAll(async () => {
    vm = await boot(debian());
  });
  afterAll(() => vm.close());

  describe.each<VmShellKind>(['out-of-band', 'agent', 'serial'])('over %s', (via) => {
    const exec = (command: string, options = {}) => vm.exec(command, { via, timeout: '2m', ...options });

    it.each(TABLE)('runs a command with %s', async (_title, command, want) => {
      const result = await exec(command);
      expect({ ...result, stderr: want.stderr === undefined ? '' : result.stderr }).toMatchObject({ exitCode: 0, stdout: '', stderr: '', via, ...want });
    });

    it('gives every exit code as it is', async () => {
      const codes = via === 'serial' ? [0, 1, 127, 128, 255] : Array.from({ length: 256 }, (_, code) => code);
      const seen: number[] = [];
      for (const code of codes) seen.push((await exec(`exit ${code}`)).exitCode);
      expect(seen).toEqual(codes);
    });

    it('takes 1 MB of binary input and gives it back on both outputs', async () => {
      const result = await exec('tee /dev/fd/2', { input: MEGABYTE });
      expect(result.stdoutBytes.equals(MEGABYTE)).toBe(true);
      expect(result.stderrBytes.equals(MEGABYTE)).toBe(true);
    });

    it('sets environment, directory and user', async () => {
      const result = await exec('printf %s "$PWD|$A|$(id -un)"', { env: { A: `it's "x"\n$y` }, cwd: '/usr/lib', user: 'nobody' });
      expect(result.stdout).toBe(`/usr/lib|it's "x"\n$y|nobody`);
    });

    it('kills a command that takes no signal when its time is up, and goes on', async () => {
      const error: unknown = await exec('echo begun; trap "" INT TERM; while :; do sleep 1; done', { timeout: '3s' }).catch((e: unknown) => e);
      expect(error).toMatchObject({ code: 'TIMEOUT' });
      expect((await exec('pgrep -fc "trap .* INT TERM" || echo gone')).stdout).toMatch(/gone|^1$/m);
      expect((await exec('echo alive')).stdout).toBe('alive\n');
    });

    it('refuses a NUL with USAGE', async () => {
      await expect(exec('echo \0')).rejects.toMatchObject({ code: 'USAGE' });
    });

    it.runIf(via !== 'serial')('passes 100 MB without loss', async () => {
      const shell = via === 'agent' ? await vm.openShell({ via }) : vm.shell;
      const { stdout } = await vm.expectOk('dd if=/dev/urandom of=/var/tmp/big bs=1M count=100 2>/dev/null; md5sum </var/tmp/big');
      const { createHash } = await import('node:crypto');
      const hash = createHash('md5');
      let bytes = 0;
      for await (const chunk of shell.stream('cat /var/tmp/big', { timeout: '4m' })) {
        hash.update(chunk.bytes);
        bytes += chunk.bytes.length;
      }
      expect([bytes, hash.digest('hex')]).toEqual([100 * 2 ** 20, stdout.split(' ')[0]]);
    });
  });

  it('works over serial while the kernel floods the line, and leaves the half-typed line and the kernel its words', async () => {
    await vm.console.type('echo half-');
    await vm.console.expect('echo half-');
    await vm.exec('(for i in $(seq 3000); do echo "<1>noise $i" > /dev/kmsg; sleep 0.002; done) >/dev/null 2>&1 &');
    const from = vm.console.position;
    const result = await vm.exec('head -c 20000 /dev/zero; echo err >&2; exit 9', { via: 'serial', timeout: '2m' });
    expect([result.exitCode, result.stdoutBytes.length, result.stderr]).toEqual([9, 20_000, 'err\n']);
    expect(result.consoleLines?.filter((line) => /noise \d+$/.test(line)).length).toBeGreaterThan(5);
    expect(vm.console.textBetween(from)).not.toContain('\ufffd');
    await vm.console.expect('noise 3000', { timeout: '2m' });
    await vm.console.type('typed\n');
    await vm.console.expect(/^half-typed$/m);
  });

  it('gives further shells, which outlive one that hangs, and whose consoles are free again after close', async () => {
    const shells: Shell[] = [await vm.openShell(), await vm.openShell()];
    const hung = shells[0]?.exec('sleep 1000').catch((error: unknown) => error);
    expect((await shells[1]?.exec('echo "on $(tty </dev/tty)"'))?.stdout).toBe('on /dev/hvc3\n');
    await expect(vm.openShell({ via: 'out-of-band' })).rejects.toMatchObject({ code: 'USAGE' });
    expect((await vm.openShell()).kind).toBe('agent');
    shells[1]?.close();
    await expect.poll(async () => (await vm.openShell({ via: 'out-of-band' }).catch(() => undefined))?.kind, { timeout: 20_000 }).toBe('out-of-band');
    void hung;
  });

  it('falls back to the agent when the shell on hvc0 is gone, and says so', async () => {
    await vm.samplingShell?.expectOk('systemctl stop qmpilot-shell@hvc0.service; pkill -9 -f "eval .*__qA" -t hvc0 || true; systemctl mask --now --runtime qmpilot-shell@hvc0.service');
    await vm.shell.exec('true', { timeout: 1000 }).catch(() => {});
    expect(await vm.exec('echo still', { timeout: '1m' })).toMatchObject({ stdout: 'still\n', via: 'agent' });
  });
});

import { openPty, type Pty } from '@qmpilot/core/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Channel } from '../../../../packages/core/src/console/channel.js';
import { Console } from '../../../../packages/core/src/console/console.js';
import { SerialShell } from '../../../../packages/core/src/shell/serial/serial-shell.js';
import { cksum, unshift } from '../../../../packages/core/src/shell/serial/shifted.js';

const ptys: Pty[] = [];
function consoleOn(command: string): { console: Console; pty: Pty } {
  const pty = openPty(command, { TERM: 'vt100' });
  ptys.push(pty);
  const channel = new Channel('ttyS0');
  channel.attach(pty.stream);
  return { console: new Console(channel), pty };
}
afterAll(() => ptys.forEach((pty) => pty.close()));

describe('SerialShell at the prompt of a bash that a person uses', () => {
  let console: Console;
  let shell: SerialShell;
  beforeAll(async () => {
    ({ console } = consoleOn('bash --norc'));
    shell = new SerialShell(console);
    await shell.ready({ timeout: '15s' });
  });

  it('gives exit code and both outputs apart, and no byte of it to the console', async () => {
    const from = console.position;
    const result = await shell.exec('echo out; echo err >&2; exit 7', { timeout: '15s' });
    expect(result).toMatchObject({ exitCode: 7, stdout: 'out\n', stderr: 'err\n', via: 'serial', consoleLines: [] });
    expect(console.textBetween(from)).not.toMatch(/out\n|\ufffd/);
  });

  it('passes every byte value in and out', async () => {
    const all = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 7919 + (i >> 8)) & 255));
    const result = await shell.exec('tee /dev/stderr', { input: all, timeout: '20s' });
    expect(result.stdoutBytes.equals(all)).toBe(true);
    expect(result.stderrBytes.equals(all)).toBe(true);
  });

  it('leaves the line that a person has half typed, and the variables of the shell', async () => {
    await console.type('x=kept\n');
    await console.type('echo "x is $x, "half');
    await console.expect('half');
    expect((await shell.exec('x=lost; echo "$x"', { timeout: '15s' })).stdout).toBe('lost\n');
    await console.type('way\n');
    expect((await console.expect(/x is kept, \w+\n/)).text).toBe('x is kept, halfway\n');
  });

  it('sends a block again that others wrote into, and reports what they wrote', async () => {
    await console.type('tty >/tmp/qmpilot-serial-tty\n');
    const noise = 'echo "[   12.000000] noise \u00e9" >"$(cat /tmp/qmpilot-serial-tty)"';
    const stream = shell.stream(`for i in 1 2 3 4 5 6 7 8; do ${noise}; head -c 60000 /dev/zero; done`, {
      timeout: '15s',
    });
    let bytes = 0;
    for await (const chunk of stream) bytes += chunk.bytes.length;
    expect(bytes).toBe(480_000);
    expect((await stream.result).consoleLines?.filter((line) => line.includes('noise')).length).toBe(8);
  });

  it('kills a command when its time is up, and the prompt is there again', async () => {
    await expect(shell.exec('echo begun; trap "" INT TERM; sleep 60', { timeout: 1000 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      evidence: { stdout: ['begun'] },
    });
    expect((await shell.exec('echo alive', { timeout: '15s' })).stdout).toBe('alive\n');
  });

  it('says SHELL_LOST when a program has the console, and runs nothing then or later', async () => {
    await console.type('sleep 5; echo $((40 + 2))woken\n');
    await console.expect('sleep 5');
    await expect(shell.exec('touch /tmp/never')).rejects.toMatchObject({
      code: 'SHELL_LOST',
      hint: expect.stringContaining('sleep 5'),
    });
    await console.expect('42woken', { timeout: '15s' });
    expect((await shell.exec('ls /tmp/never', { timeout: '15s' })).exitCode).toBe(2);
  }, 60_000);
});

describe('SerialShell at the prompt of another shell', () => {
  it('runs commands for sh, whose prompt it is told', async () => {
    const { console } = consoleOn('env PS1="box> " sh -i');
    const shell = new SerialShell(console, { prompt: /box> $/ });
    await shell.ready({ timeout: '10s' });
    expect(await shell.exec('echo "a\'b"; false', { timeout: '15s' })).toMatchObject({ exitCode: 1, stdout: "a'b\n" });
  });
});

describe('the serial protocol', () => {
  it('takes its own bytes out from between those of others', () => {
    const { ours, theirs } = unshift(
      Buffer.concat([Buffer.from('[ 1.0] a'), Buffer.of(0xc0, 0xc1, 0x83), Buffer.from('b\r\n'), Buffer.of(0xff)]),
    );
    expect([ours.toString(), theirs.toString()]).toEqual(['AB\n/', '[ 1.0] ab\r\n']);
  });

  it('sums as cksum(1) does', () => {
    expect([cksum(Buffer.from('')), cksum(Buffer.from('hello\n'))]).toEqual([4294967295, 3015617425]);
  });
});

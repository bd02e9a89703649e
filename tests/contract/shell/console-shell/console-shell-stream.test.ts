import { beforeAll, describe, expect, it } from 'vitest';
import type { ConsoleShell } from '../../../../packages/core/src/shell/console-shell/console-shell.js';
import { shellOn } from '../../../support/shell-on-pty.js';

describe('streams of a ConsoleShell', () => {
  let shell: ConsoleShell;
  beforeAll(async () => {
    ({ shell } = shellOn('bash --norc'));
    await shell.ready({ timeout: '10s' });
  });

  it('streams both outputs while the command runs', async () => {
    const stream = shell.stream('echo a; echo b >&2; printf c >&2; sleep 0.3; echo d; exit 5');
    let [stdout, stderr] = ['', ''];
    for await (const { from, bytes } of stream) {
      if (from === 'stdout') stdout += String(bytes);
      else stderr += String(bytes);
    }
    expect({ stdout, stderr }).toEqual({ stdout: 'a\nd\n', stderr: 'b\nc' });
    expect(await stream.result).toMatchObject({ exitCode: 5 });
  });

  it('streams every byte value of both outputs', async () => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const got = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    const stream = shell.stream('cat; { printf "\\0\\1\\n\\377\\n"; sleep 0.1; printf "\\n\\1"; } >&2', { input: all });
    for await (const { from, bytes } of stream) got[from].push(bytes);
    expect(Buffer.concat(got.stdout)).toEqual(all);
    expect(Buffer.concat(got.stderr)).toEqual(Buffer.of(0, 1, 10, 255, 10, 10, 1));
  });

  it('kills a streamed command when the reader leaves, and goes on', async () => {
    for await (const chunk of shell.stream('yes')) if (chunk.bytes.length > 0) break;
    expect((await shell.exec('echo on', { timeout: 5000 })).stdout).toBe('on\n');
  });

  it('kills a streamed command that says nothing when its time is up, and goes on', async () => {
    const stream = shell.stream('trap "" INT TERM; sleep 60', { timeout: 300 });
    await expect(stream.result).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect((await shell.exec('echo on', { timeout: 2000 })).stdout).toBe('on\n');
  });

  it('streams 20 MB to a slow reader without loss and without holding them', async () => {
    let bytes = 0;
    for await (const chunk of shell.stream('head -c 20000000 /dev/zero')) {
      if (bytes === 0) await new Promise((resolve) => setTimeout(resolve, 200));
      bytes += chunk.bytes.length;
    }
    expect(bytes).toBe(20_000_000);
  });

  it('streams the last bytes of a piece at once, also when they look like the beginning of a mark', async () => {
    const { shell } = shellOn('bash --norc');
    await shell.ready({ timeout: '10s' });
    const stream = shell.stream("printf 'up\\n'; read -r line < /dev/null; sleep 60", { timeout: '10s' });
    for await (const { bytes } of stream) {
      expect(bytes.toString()).toBe('up\n');
      break;
    }
    let text = '';
    for await (const { bytes } of shell.stream("printf '\\1X'; sleep 0.1; printf '\\1\\1e0123'", { timeout: '20s' }))
      text += bytes.toString();
    expect(text).toBe('\u0001X\u0001\u0001e0123');
  });

  it('streams what looks like the prompt of a bash as any other output', async () => {
    const { shell } = shellOn('while :; do bash --norc; done');
    await shell.ready({ timeout: '10s' });
    let text = '';
    for await (const { bytes } of shell.stream("printf 'bash-5.2# '; sleep 0.2; printf 'bash-5.2# '; sleep 0.2", {
      timeout: '20s',
    }))
      text += bytes.toString();
    expect(text).toBe('bash-5.2# bash-5.2# ');
  });
});

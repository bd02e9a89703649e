import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { openPty, type Pty } from '@qmpilot/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Channel } from '../../../../packages/core/src/console/channel.js';
import { ConsoleShell } from '../../../../packages/core/src/shell/console-shell/console-shell.js';
import type { ExecOptions } from '../../../../packages/core/src/shell/exec-options.js';
import type { ExecResult } from '../../../../packages/core/src/shell/exec-result.js';
import { collect } from '../../../../packages/core/src/shell/exec-stream.js';
import { collectInput, InputFeed, type InputStream } from '../../../../packages/core/src/vm/shells/input-stream.js';

const ptys: Pty[] = [];
let shell: ConsoleShell;
let feed: InputFeed;
beforeEach(async () => {
  shell = await openShell();
  feed = await InputFeed.open(await openShell(), undefined);
});
afterEach(async () => {
  await feed.close();
  for (const pty of ptys.splice(0)) pty.close();
  expect(existsSync(dirname(feed.path))).toBe(false);
});

async function openShell(): Promise<ConsoleShell> {
  const pty = openPty('bash --norc');
  ptys.push(pty);
  const channel = new Channel('hvc0');
  channel.attach(pty.stream);
  const opened = new ConsoleShell(channel);
  await opened.ready({ timeout: '30s' });
  return opened;
}

/** Runs a command on bash of this host, with `input` as its standard input. */
async function run(command: string, input: InputStream, options: ExecOptions = {}): Promise<ExecResult> {
  const stream = shell.stream(command, { ...options, inputFile: feed.path });
  const [result] = await Promise.all([collect(stream, options), feed.run(input, stream)]);
  return result;
}

describe('a stream as the input of a command', () => {
  it('arrives to the byte, and ends', async () => {
    const hash = createHash('sha256');
    const input = (async function* () {
      for (let n = 0; n < 200; n += 1) {
        const chunk = randomBytes(1 + ((n * 2531) % 150_000));
        hash.update(chunk);
        yield chunk;
      }
    })();
    const { stdout } = await run('sha256sum', input, { timeout: '2m' });
    expect(stdout.split(' ')[0]).toBe(hash.digest('hex'));
  }, 150_000);

  it('is read while the command runs, and no further than the command reads', async () => {
    let given = 0;
    const input = (async function* () {
      for (;;) {
        given += 1 << 20;
        yield Buffer.alloc(1 << 20, 'x');
        // What the command prints comes before the end of its input.
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const { stdout, exitCode } = await run('head -c 3; exit 4', input, { timeout: '1m' });
    expect([stdout, exitCode]).toEqual(['xxx', 4]);
    expect(given).toBeLessThan(64 << 20);
  }, 90_000);

  it('may be empty, or not be read at all', async () => {
    expect((await run('cat; echo end', empty(), { timeout: '1m' })).stdout).toBe('end\n');
    await expect(run('cat', empty(), { cwd: '/none', timeout: '1m' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  }, 90_000);

  it('kills the command when it fails', async () => {
    const input = (async function* () {
      yield Buffer.from('a');
      throw new Error('the disk is gone');
    })();
    await expect(run('cat; sleep 1000', input, { timeout: '1m' })).rejects.toThrow('the disk is gone');
    expect((await shell.exec('echo on')).stdout).toBe('on\n');
  }, 90_000);

  it('is collected where no other shell can pass it on, up to a limit', async () => {
    const chunks = (count: number) =>
      (async function* () {
        for (let n = 0; n < count; n += 1) yield Buffer.alloc(1 << 20);
      })();
    expect(await collectInput(chunks(3), undefined)).toHaveLength(3 << 20);
    await expect(collectInput(chunks(65), undefined)).rejects.toMatchObject({ code: 'USAGE' });
  });
});

async function* empty(): AsyncGenerator<Buffer> {}

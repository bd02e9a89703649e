import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '@qmpilot/core/qmp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startQemu, type RawQemu } from '../../support/qmp-harness.js';

const BIN = fileURLToPath(new URL('../../../packages/cli/dist/bin.js', import.meta.url));
let dir: string;
let socket: string;
let qemu: RawQemu;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmp-cli-'));
  socket = join(dir, 'qmp.sock');
  qemu = startQemu(['-machine', 'none', '-qmp', `unix:${socket},server=on,wait=off`]);
  await (await connect({ path: socket }, { retry: true, timeout: '30s' })).close();
});
afterAll(async () => {
  await qemu[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

async function qmp(args: readonly string[], input = ''): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [BIN, 'qmp', ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  const out = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (out.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (out.stderr += chunk.toString()));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number];
  return { code, ...out };
}

describe('qmpilot qmp', () => {
  it('prints the answer as JSON', async () => {
    const { code, stdout } = await qmp([socket, 'query-status']);
    expect(JSON.parse(stdout)).toMatchObject({ running: false });
    expect(code).toBe(0);
    expect(JSON.parse((await qmp([socket, 'query-name', '--json'])).stdout)).toEqual({
      v: 1,
      type: 'return',
      command: 'query-name',
      value: {},
    });
  });

  it('takes arguments as JSON, as pairs, and as JSON on standard input', async () => {
    for (const [args, input] of [
      [['{"id": "gone"}'], ''],
      [['id=gone'], ''],
      [['-'], '{"id": "gone"}\n'],
    ] as const) {
      expect(await qmp([socket, 'device_del', ...args], input)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("Device 'gone' not found"),
      });
    }
    expect(JSON.parse((await qmp([socket, 'device_del', 'id=gone', '--json'])).stdout)).toMatchObject({
      type: 'error',
      class: 'DeviceNotFound',
    });
  });

  it('works off the lines of standard input, and exits with 1 when one of them failed', async () => {
    const { code, stdout, stderr } = await qmp(
      [socket],
      'query-status\nhmp info version\nno-such-command\nquery-name\n',
    );
    expect(stdout).toMatch(/"running":false[^]*\n\d+\.\d+[^]*\n\{\}\n/);
    expect(stderr).toContain('no-such-command');
    expect(code).toBe(1);
  });

  it('tells bad input: arguments that are no JSON, a path over 107 bytes, TCP without a port', async () => {
    expect(await qmp([socket, 'device_del', '{"id"'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('invalid JSON'),
    });
    expect(await qmp([`/tmp/${'x'.repeat(110)}`, 'query-status'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('at most 107'),
    });
    expect(await qmp(['localhost', 'query-status', '--tcp'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('HOST:PORT'),
    });
  });

  it('tells a wrong path, a socket that is not QMP, and a QEMU that hangs before its greeting', async () => {
    expect(await qmp([join(dir, 'none.sock'), 'query-status'])).toMatchObject({
      code: 125,
      stderr: expect.stringContaining('there is no such socket'),
    });
    const sockets: Socket[] = [];
    const listen = async (name: string, greet: string) => {
      const server = createServer((peer) => {
        sockets.push(peer.on('error', () => {}));
        peer.write(greet);
      });
      server.listen(join(dir, name));
      await once(server, 'listening');
      return server;
    };
    const servers = [await listen('ssh.sock', 'SSH-2.0-\u001b[2JOpenSSH\r\n'), await listen('silent.sock', '')];
    const ssh = await qmp([join(dir, 'ssh.sock'), 'query-status']);
    expect(ssh).toMatchObject({ code: 125, stderr: expect.stringContaining('check that this is a QMP socket') });
    expect(ssh.stderr).not.toContain('\u001b');
    expect(await qmp([join(dir, 'silent.sock'), 'query-status', '--timeout', '300ms'])).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/timed out after .* waiting for QEMU's QMP greeting[^]*QEMU hangs at its start/),
    });
    for (const peer of sockets) peer.destroy();
    for (const server of servers) server.close();
  });
});

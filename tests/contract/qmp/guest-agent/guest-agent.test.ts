import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect, connectGuestAgent, GuestAgent } from '@qmpilot/core/qmp';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { otherQemu } from '../../../support/other-qemu.js';
import { startQemu } from '../../../support/qmp-harness.js';

let dir: string;
let agentProgram: string;
const running: ChildProcess[] = [];

beforeAll(() => {
  agentProgram = otherQemu().agent;
  dir = mkdtempSync(join(tmpdir(), 'qmp-agent-'));
});
afterEach(async () => {
  for (const child of running.splice(0)) await end(child);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A real qemu-ga that listens on a unix socket. */
function startAgent(path: string): ChildProcess {
  rmSync(path, { force: true });
  const args = ['-m', 'unix-listen', '-p', path, '-t', dir, '-f', join(dir, 'pid')];
  const child = spawn(agentProgram, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  running.push(child);
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(10);
}

/** Connects as soon as somebody listens: the socket has its name a moment before. */
async function connected(path: string): Promise<Socket> {
  for (;;) {
    const socket = createConnection({ path });
    try {
      await once(socket, 'connect');
      return socket;
    } catch {
      await pause(10);
    }
  }
}

describe('a real guest agent', () => {
  const path = () => join(dir, 'ga.sock');

  it('syncs, says what it can do, and runs a program', async () => {
    startAgent(path());
    await using agent = await connectGuestAgent({ path: path() }, { retry: true });
    const info = await agent.execute('guest-info');
    expect(info.supported_commands.map(({ name }) => name)).toContain('guest-exec');
    const unanswered = info.supported_commands
      .filter((command) => !command['success-response'])
      .map(({ name }) => name);
    expect(unanswered.toSorted()).toEqual([
      'guest-shutdown',
      'guest-suspend-disk',
      'guest-suspend-hybrid',
      'guest-suspend-ram',
    ]);
    const { pid } = await agent.execute('guest-exec', {
      'path': '/bin/echo',
      'arg': ['hello'],
      'capture-output': true,
    });
    let status = await agent.execute('guest-exec-status', { pid });
    while (!status.exited) status = await agent.execute('guest-exec-status', { pid });
    expect(Buffer.from(status['out-data'] ?? '', 'base64').toString()).toBe('hello\n');
  });

  it("rejects with the agent's own class and text", async () => {
    startAgent(path());
    await using agent = await connectGuestAgent({ path: path() }, { retry: true });
    await expect(agent.executeUntyped('guest-no-such')).rejects.toMatchObject({
      code: 'QMP_COMMAND',
      qmpClass: 'CommandNotFound',
    });
    await expect(agent.execute('guest-file-open', { path: '/no/such/file' })).rejects.toThrow(/No such file/);
  });

  it('works off many calls at once, each with its own answer', async () => {
    startAgent(path());
    await using agent = await connectGuestAgent({ path: path() }, { retry: true });
    const ids = Array.from({ length: 40 }, (_, index) => index + 1_000);
    expect(await Promise.all(ids.map((id) => agent.execute('guest-sync', { id })))).toEqual(ids);
  });

  it('survives an agent that is killed and started again: what waited is rejected, the next call reaches the new one', async () => {
    const first = startAgent(path());
    await using agent = await connectGuestAgent({ path: path() }, { retry: true });
    first.kill('SIGSTOP');
    const lost = agent.execute('guest-ping');
    lost.catch(() => {});
    await end(first);
    await expect(lost).rejects.toMatchObject({ code: 'QMP_LINK' });
    const next = agent.execute('guest-ping');
    startAgent(path());
    await next;
  });

  it('is in step after a call was cancelled while the agent was stopped', async () => {
    const child = startAgent(path());
    await using agent = await connectGuestAgent({ path: path() }, { retry: true });
    child.kill('SIGSTOP');
    await expect(agent.execute('guest-sync', { id: 1 }, { timeout: 50 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    const controller = new AbortController();
    const aborted = agent.execute('guest-sync', { id: 2 }, { signal: controller.signal });
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' });
    child.kill('SIGCONT');
    expect(await agent.execute('guest-sync', { id: 3 })).toBe(3);
  });

  it('ends what a host before it left unfinished', async () => {
    startAgent(path());
    const socket = await connected(path());
    socket.write('{"execute": "guest-sync", "arguments": {"id": "');
    await using agent = GuestAgent.fromStream(socket);
    expect(await agent.execute('guest-sync', { id: 7 })).toBe(7);
  });
});

describe('an agent that is not there', () => {
  it('is reported after the timeout, with what to check', async () => {
    const server = await silentServer('silent.sock');
    await expect(connectGuestAgent({ path: server.path }, { timeout: 100 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      hint: expect.stringContaining('qemu-guest-agent'),
    });
    await server.close();
  });

  it('is distinguished from a QMP socket', async () => {
    const path = join(dir, 'qmp.sock');
    await using qemu = startQemu(['-machine', 'none', '-qmp', `unix:${path},server=on,wait=off`]);
    expect(qemu.pid).toBeGreaterThan(0);
    await expect(connectGuestAgent({ path }, { retry: true })).rejects.toThrow(/this is a QMP socket/);
    await (await connect({ path })).close();
  });

  it('resolves guest-shutdown when the stream ends, rejects others, and then answers nothing', async () => {
    const server = await silentServer('dying.sock', (socket, line) => {
      const {
        execute,
        id,
        arguments: args,
      } = JSON.parse(line.replace(/^\uFFFD/, '')) as { execute: string; id: number; arguments?: { id: number } };
      if (execute === 'guest-shutdown') socket.destroy();
      else if (execute === 'guest-sync-delimited')
        socket.write(
          Buffer.concat([Buffer.from([0xff]), Buffer.from(`${JSON.stringify({ return: args?.id, id })}\n`)]),
        );
    });
    await using agent = await connectGuestAgent({ path: server.path });
    expect(await agent.execute('guest-shutdown', { mode: 'powerdown' })).toEqual({});
    await server.close();
    await expect(agent.execute('guest-ping', {}, { timeout: 200 })).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  it("takes an answer after the rest of a killed agent's one, and an interrupt for what no stream shows", async () => {
    let asked = 0;
    const server = await silentServer('half.sock', (socket, line) => {
      const {
        execute,
        id,
        arguments: args,
      } = JSON.parse(line.replace(/^\uFFFD/, '')) as { execute: string; id: number; arguments?: { id: number } };
      if (execute !== 'guest-sync-delimited') return void asked++;
      socket.write('{"return": {"buf-b64": "QUJ');
      socket.write(Buffer.concat([Buffer.from([0xff]), Buffer.from(`${JSON.stringify({ return: args?.id, id })}\n`)]));
    });
    await using agent = await connectGuestAgent({ path: server.path });
    const ping = agent.execute('guest-ping');
    await until(() => asked === 1);
    agent.interrupt();
    await expect(ping).rejects.toMatchObject({ code: 'QMP_LINK' });
    await agent.ready();
    await server.close();
  });

  async function silentServer(name: string, onLine: (socket: Socket, line: string) => void = () => {}) {
    const path = join(dir, name);
    const sockets = new Set<Socket>();
    const server: Server = createServer((socket) => {
      sockets.add(socket);
      let rest = '';
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        const lines = (rest + chunk.toString()).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) onLine(socket, line);
      });
    });
    server.listen(path);
    await once(server, 'listening');
    return {
      path,
      close: async () => {
        for (const socket of sockets) socket.destroy();
        server.close();
        await once(server, 'close');
      },
    };
  }
});

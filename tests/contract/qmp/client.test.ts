import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Duplex } from 'node:stream';
import { connect, QmpClient } from '@qmpilot/core/qmp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startQemu, startWithClient } from '../../support/qmp-harness.js';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmp-client-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('a QMP session with a real QEMU', () => {
  it('greets, negotiates out-of-band commands, and answers', async () => {
    await using qemu = await startWithClient();
    expect(qemu.client.greeting.version.major).toBeGreaterThanOrEqual(7);
    expect(qemu.client.oob).toBe(true);
    expect(await qemu.client.execute('query-status')).toMatchObject({ running: false });
  });

  it('answers 50 commands at once, each with its own answer, in spite of the limit of 8 in flight', async () => {
    await using qemu = await startWithClient();
    const lines = await Promise.all(Array.from({ length: 50 }, (_, index) => qemu.client.hmp(`print ${index}`)));
    expect(lines.map((line) => Number(line))).toEqual(Array.from({ length: 50 }, (_, index) => index));
  });

  it("rejects with QEMU's own class and text", async () => {
    await using qemu = await startWithClient();
    await expect(qemu.client.executeUntyped('no-such-command')).rejects.toMatchObject({
      code: 'QMP_COMMAND',
      qmpClass: 'CommandNotFound',
      command: 'no-such-command',
    });
    await expect(qemu.client.execute('device_del', { id: 'x' })).rejects.toMatchObject({ qmpClass: 'DeviceNotFound' });
  });

  it('gives every listener every event, and an awaited one that its command causes', async () => {
    await using qemu = await startWithClient(['-machine', 'q35,accel=tcg', '-m', '32']);
    const heard: string[] = [];
    qemu.client.on((event) => heard.push(event.event));
    const stream = qemu.client.events(['RESUME', 'STOP']);
    const resumed = qemu.client.waitFor('RESUME', { timeout: 5000 });
    await qemu.client.execute('cont');
    await resumed;
    await qemu.client.execute('stop');
    const seen: string[] = [];
    for await (const { event } of stream) {
      seen.push(event);
      if (seen.length === 2) break;
    }
    expect(seen).toEqual(['RESUME', 'STOP']);
    expect(heard).toEqual(expect.arrayContaining(['RESUME', 'STOP']));
  });

  it('drops an answer that comes after its timeout, and continues in step', async () => {
    await using qemu = await startWithClient();
    process.kill(qemu.pid, 'SIGSTOP');
    await expect(qemu.client.execute('query-status', undefined, { timeout: 50 })).rejects.toMatchObject({
      code: 'TIMEOUT',
    });
    process.kill(qemu.pid, 'SIGCONT');
    expect(await qemu.client.hmp('print /d 7')).toMatch(/^7\s*$/);
  });

  it('rejects what waits with the first cause when QEMU dies', async () => {
    await using qemu = await startWithClient();
    process.kill(qemu.pid, 'SIGSTOP');
    const calls = Promise.allSettled([qemu.client.execute('query-status'), qemu.client.execute('query-version')]);
    qemu.kill();
    for (const call of await calls) expect(call).toMatchObject({ status: 'rejected', reason: { code: 'QMP_LINK' } });
    await expect(qemu.client.execute('query-status')).rejects.toMatchObject({ code: 'QMP_LINK' });
  });

  it('ends cleanly by quit', async () => {
    await using qemu = await startWithClient();
    await qemu.client.quit();
    expect(await qemu.exited).toBe(0);
    expect(qemu.client.closedReason).toBeUndefined();
  });

  it('connects to a unix socket, also one that is made later, and reconnects', async () => {
    const path = join(dir, 'qmp.sock');
    await expect(connect({ path })).rejects.toMatchObject({
      code: 'QMP_LINK',
      hint: expect.stringContaining('no such socket'),
    });
    const connecting = connect({ path }, { retry: true, timeout: 10_000 });
    await using qemu = startQemu(['-machine', 'none', '-qmp', `unix:${path},server=on,wait=off`]);
    expect(qemu.pid).toBeGreaterThan(0);
    const client = await connecting;
    const again = await client.reconnect();
    expect(await again.execute('query-status')).toMatchObject({ running: false });
    await again.close();
  });

  it('refuses TCP unless it is allowed, and paths that no socket can have', async () => {
    await expect(connect({ host: '127.0.0.1', port: 1 } as never)).rejects.toMatchObject({ code: 'USAGE' });
    await expect(connect({ path: `/${'x'.repeat(120)}` })).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('a peer that does not speak QMP', () => {
  const peer = (text: string) => {
    const out = new PassThrough();
    const stream = Duplex.from({ readable: out, writable: new PassThrough().resume() });
    out.write(text);
    return stream;
  };

  it('is refused when it does not greet', async () => {
    await expect(QmpClient.fromStream(peer('hello, world\n'), { timeout: 2000 })).rejects.toMatchObject({
      code: expect.stringMatching(/QMP_LINK|TIMEOUT/),
    });
    await expect(QmpClient.fromStream(peer(''), { timeout: 50 })).rejects.toMatchObject({ code: 'TIMEOUT' });
  });

  it('is closed when a message exceeds the limit', async () => {
    await expect(
      QmpClient.fromStream(peer(`{"QMP": "${'x'.repeat(5000)}`), { limit: 1000, timeout: 2000 }),
    ).rejects.toMatchObject({ code: 'QMP_LINK' });
  });
});

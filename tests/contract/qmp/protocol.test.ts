import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect, isQmpilotError, type QmpClient } from '@qmpilot/core/qmp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { otherQemu } from '../../support/other-qemu.js';
import { qemuBinary, startQemu, startWithClient, type RawQemu } from '../../support/qmp-harness.js';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmp-protocol-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function stray(client: QmpClient, pattern: RegExp): Promise<string> {
  for (;;) {
    const found = client.strays.find((text) => pattern.test(text));
    if (found !== undefined) return found;
    await pause(5);
  }
}

async function settled(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(10);
}

describe.each([
  ['the installed QEMU', () => ({ system: qemuBinary(), image: 'qemu-img' })],
  ["Debian's newer QEMU", () => otherQemu()],
])('%s', (_name, programs) => {
  const NONE = ['-machine', 'none'];
  const MACHINE = ['-machine', 'q35,accel=tcg', '-m', '32'];
  const start = (extra = NONE): Promise<RawQemu & { client: QmpClient }> => startWithClient(extra, [programs().system]);

  it('recovers from malformed input, and its errors without an id disturb no call', async () => {
    await using qemu = await start();
    for (const [index, text] of [
      '}\n',
      '{]}\n',
      '{"execute": }\n',
      '\u0000\n',
      '"x"\n',
      '[]\n',
      '{"execute": 1}\n',
      '{"arguments": {}}\n',
    ].entries()) {
      qemu.stream.write(text);
      await settled(() => Promise.resolve(qemu.client.strays.length > index));
      expect(await qemu.client.execute('query-status')).toMatchObject({ running: false });
    }
    expect(qemu.client.strays.every((text) => text.includes('error'))).toBe(true);
  });

  it('refuses a second handshake, a command of no name, and out-of-band execution of what cannot run so', async () => {
    await using qemu = await start();
    await expect(qemu.client.execute('qmp_capabilities')).rejects.toMatchObject({ qmpClass: 'CommandNotFound' });
    await expect(qemu.client.executeUntyped('')).rejects.toMatchObject({ code: 'QMP_COMMAND' });
    await expect(qemu.client.executeUntyped('query-status', undefined, { outOfBand: true })).rejects.toThrow(
      /does not support OOB/,
    );
    await expect(qemu.client.executeUntyped('query-status', { extra: 1 })).rejects.toThrow(/extra/);
  });

  it('echoes an id of any JSON type, and the client takes none of them for its own', async () => {
    await using qemu = await start();
    for (const id of ['cookie#1', [1, { a: null }], 4711, null, { x: 1.5 }]) {
      const text = JSON.stringify(id);
      qemu.stream.write(`{"execute": "query-name", "id": ${text}}\n`);
      expect(
        JSON.parse(JSON.parse(await stray(qemu.client, new RegExp(text.replaceAll(/[^\w]+/g, '.*'), 'u'))) as string),
      ).toMatchObject({ return: {} });
      expect(await qemu.client.execute('query-name')).toEqual({});
    }
  });

  it('runs an out-of-band command while an in-band one blocks, with the queue behind it full', async () => {
    await using qemu = await start();
    const fifo = join(dir, `fifo-${qemu.pid}`);
    execFileSync('mkfifo', [fifo]);
    let unblocked = false;
    const blocker = qemu.client
      .execute('blockdev-add', {
        'driver': 'blkdebug',
        'node-name': 'b',
        'config': fifo,
        'image': { driver: 'null-co' },
      })
      .finally(() => {
        unblocked = true;
      });
    const behind = Array.from({ length: 30 }, () => qemu.client.execute('query-status'));
    await expect(qemu.client.executeOob('migrate-pause', {}, { timeout: 20_000 })).rejects.toMatchObject({
      code: 'QMP_COMMAND',
    });
    expect(await qemu.client.executeOob('query-yank', {}, { timeout: 20_000 })).toContainEqual({
      type: 'chardev',
      id: 'qmp',
    });
    expect(unblocked).toBe(false);
    closeSync(openSync(fifo, constants.O_WRONLY));
    await blocker;
    expect(await Promise.all(behind)).toHaveLength(30);
  });

  it('drops the answer of a blocked command that was given up, and stays in step', async () => {
    await using qemu = await start();
    const fifo = join(dir, `fifo-${qemu.pid}`);
    execFileSync('mkfifo', [fifo]);
    const blocked = qemu.client.execute(
      'blockdev-add',
      { 'driver': 'blkdebug', 'node-name': 'b', 'config': fifo, 'image': { driver: 'null-co' } },
      { timeout: 50 },
    );
    await expect(blocked).rejects.toMatchObject({
      code: 'TIMEOUT',
      awaited: expect.stringContaining('blockdev-add'),
      evidence: { inFlight: 1 },
    });
    const next = qemu.client.execute('query-named-block-nodes', { flat: true });
    closeSync(openSync(fifo, constants.O_WRONLY));
    expect((await next).map((node) => node['node-name'])).toContain('b');
    expect(qemu.client.strays).toEqual([]);
  });

  it('is found again by reconnect on its socket, with the listeners, and without what the old link still owed', async () => {
    const path = join(dir, `again-${programs().image.length}.sock`);
    await using qemu = startQemu([...MACHINE, '-qmp', `unix:${path},server=on,wait=off`], [programs().system]);
    const client = await connect({ path }, { retry: true });
    const heard: string[] = [];
    client.on(({ event }) => heard.push(event));
    process.kill(qemu.pid, 'SIGSTOP');
    const owed = client.execute('query-status').catch((error: unknown) => error);
    await client.close();
    process.kill(qemu.pid, 'SIGCONT');
    expect(isQmpilotError(await owed, 'QMP_LINK')).toBe(true);
    await using again = await client.reconnect();
    const resumed = again.waitFor('RESUME');
    await again.execute('cont');
    await resumed;
    expect(heard).toContain('RESUME');
    process.kill(qemu.pid, 'SIGKILL');
    await again.closed;
    await expect(again.reconnect({ timeout: 2000 })).rejects.toMatchObject({ code: 'QMP_LINK' });
  });

  it('answers HMP as text', async () => {
    await using qemu = await start();
    expect(await qemu.client.hmp('info version')).toMatch(/^\d+\.\d+/);
    expect(await qemu.client.hmp('no-such-command')).toMatch(/unknown command/);
  });

  it('ends a job with its true error and dismisses it, so that its id works again, however it ends', async () => {
    const file = join(dir, `job-${process.pid}-${programs().system.length}.qcow2`);
    execFileSync(programs().image, ['create', '-q', '-f', 'qcow2', file, '64M']);
    await using qemu = await start([
      ...MACHINE,
      '-blockdev',
      `qcow2,node-name=a,file.driver=file,file.filename=${file}`,
      '-blockdev',
      'null-co,node-name=n,size=67108864',
    ]);
    const { client } = qemu;
    const jobs = () => client.execute('query-jobs');
    const id = 'j';
    const snapshot = { 'job-id': id, 'vmstate': 'a', 'devices': ['a'] };
    await expect(client.runJob('snapshot-load', { ...snapshot, tag: 'no-such-tag' })).rejects.toMatchObject({
      code: 'QMP_JOB',
      message: expect.stringContaining('no-such-tag'),
    });
    const created = client.runJob('blockdev-create', {
      'job-id': id,
      'options': { 'driver': 'qcow2', 'file': 'a', 'size': 1048576, 'cluster-size': 3 },
    });
    await expect(created).rejects.toMatchObject({ code: 'QMP_JOB', message: expect.stringMatching(/[Cc]luster size/) });
    expect(await jobs()).toEqual([]);

    const seen: string[] = [];
    const order: string[] = [];
    await client.runJob(
      'blockdev-mirror',
      { 'job-id': id, 'device': 'n', 'target': 'a', 'sync': 'full', 'auto-finalize': false },
      {
        onProgress: ({ status }) => seen.push(status),
        onReady: () => void order.push('ready'),
        onPending: () => void order.push('pending'),
      },
    );
    expect(order).toEqual(['ready', 'pending']);
    expect(seen.at(-1)).toBe('concluded');
    expect(await jobs()).toEqual([]);

    const controller = new AbortController();
    const slow = client.runJob(
      'blockdev-mirror',
      { 'job-id': id, 'device': 'n', 'target': 'a', 'sync': 'full', 'speed': 1 },
      { signal: controller.signal },
    );
    slow.catch(() => {});
    await settled(async () => (await jobs()).length > 0);
    await expect(
      client.runJob('blockdev-mirror', { 'job-id': id, 'device': 'a', 'target': 'n', 'sync': 'full' }),
    ).rejects.toMatchObject({ code: 'QMP_COMMAND' });
    expect(await jobs()).toHaveLength(1);
    controller.abort();
    await expect(slow).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await jobs()).toEqual([]);

    const throwing = client.runJob(
      'blockdev-mirror',
      { 'job-id': id, 'device': 'n', 'target': 'a', 'sync': 'full' },
      {
        onReady: () => {
          throw new Error('not mine');
        },
      },
    );
    await expect(throwing).rejects.toThrow('not mine');
    expect(await jobs()).toEqual([]);

    await client.execute('transaction', {
      actions: [
        {
          type: 'blockdev-backup',
          data: { 'job-id': id, 'device': 'n', 'target': 'a', 'sync': 'full', 'auto-dismiss': false },
        },
      ],
    });
    await client.followJob(id);
    await expect(client.followJob('no-such-job')).rejects.toMatchObject({ code: 'QMP_JOB' });
    await client.runJob('snapshot-save', { ...snapshot, tag: 't' });
    expect(await jobs()).toEqual([]);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ScriptedPeer, settle, type Asked } from '../testing/scripted-peer.js';
import { QmpClient } from './client.js';

async function session(): Promise<{ peer: ScriptedPeer; client: QmpClient }> {
  const peer = ScriptedPeer.greeting();
  const client = await QmpClient.fromStream(peer.stream, { timeout: 5000 });
  peer.asked.length = 0;
  return { peer, client };
}

const names = (peer: ScriptedPeer) => peer.asked.map((asked) => asked.execute ?? asked['exec-oob']);

describe('what waits for an answer', () => {
  it('is at most 8 in band; the rest goes out in order as answers come, and out-of-band commands do not wait', async () => {
    const { peer, client } = await session();
    const calls = Array.from({ length: 20 }, (_, index) => client.executeUntyped(`c${index}`));
    await settle();
    expect(names(peer)).toEqual(['c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7']);
    const urgent = client.executeOob('migrate-pause');
    await settle();
    expect(peer.asked.at(-1)).toMatchObject({ 'exec-oob': 'migrate-pause' });
    peer.answer(peer.asked.at(-1));
    await urgent;
    peer.answer(peer.asked[0], 'first');
    await settle();
    expect(names(peer).slice(9)).toEqual(['c8']);
    peer.onAsked = (asked) => peer.answer(asked, asked.execute);
    for (const asked of peer.asked.slice(1).filter((one) => one.execute)) peer.answer(asked, asked.execute);
    expect(await Promise.all(calls)).toEqual(['first', ...Array.from({ length: 19 }, (_, index) => `c${index + 1}`)]);
  });

  it('is never sent when it was given up in the queue, and keeps its place until QEMU answers when it was sent', async () => {
    const { peer, client } = await session();
    const controller = new AbortController();
    const given = Array.from({ length: 8 }, () =>
      client.executeUntyped('slow', {}, { signal: controller.signal }).catch((error: unknown) => error),
    );
    const queued = client
      .executeUntyped('never-sent', {}, { signal: controller.signal })
      .catch((error: unknown) => error);
    controller.abort();
    for (const error of await Promise.all([...given, queued])) expect(error).toMatchObject({ code: 'ABORTED' });
    const next = client.executeUntyped('next');
    await settle();
    expect(names(peer)).toEqual(Array.from({ length: 8 }, () => 'slow'));
    peer.onAsked = (asked) => peer.answer(asked, 'right');
    for (const asked of peer.asked.slice()) peer.answer(asked, 'late');
    expect(await next).toBe('right');
    expect(client.strays).toEqual([]);
  });

  it('is rejected with the first cause, each with an error of its own, when the link fails', async () => {
    const { peer, client } = await session();
    const calls = Array.from({ length: 12 }, (_, index) => client.executeUntyped(`c${index}`));
    const event = client.waitFor('STOP');
    await settle();
    peer.fail(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }));
    const errors = (await Promise.allSettled([...calls, event])).map((end) =>
      end.status === 'rejected' ? (end.reason as unknown) : undefined,
    );
    for (const error of errors)
      expect(error).toMatchObject({ code: 'QMP_LINK', cause: { cause: { code: 'ECONNRESET' } } });
    expect(new Set(errors).size).toBe(13);
    expect(errors[3]).toMatchObject({ message: expect.stringContaining('c3') });
    await expect(client.execute('query-status')).rejects.toMatchObject({
      code: 'QMP_LINK',
      cause: { cause: { code: 'ECONNRESET' } },
    });
  });

  it('does not start at all under a signal that has fired, or with arguments that are no JSON', async () => {
    const { peer, client } = await session();
    await expect(client.execute('query-status', {}, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
    });
    await expect(client.executeUntyped('x', { n: 1n })).rejects.toMatchObject({ code: 'USAGE' });
    await settle();
    expect(peer.asked).toEqual([]);
  });
});

describe('the end', () => {
  it('is clean after quit, by the end of the stream or by ECONNRESET, answered or not', async () => {
    for (const finish of [
      (peer: ScriptedPeer) => peer.end(),
      (peer: ScriptedPeer) => peer.fail(new Error('read ECONNRESET')),
      (peer: ScriptedPeer, asked: Asked) => {
        peer.answer(asked);
        peer.end();
      },
    ]) {
      const { peer, client } = await session();
      peer.onAsked = (asked) => finish(peer, asked);
      await client.quit();
      expect(client.closedReason).toBeUndefined();
    }
  });

  it('rejects quit when QEMU refuses it', async () => {
    const { peer, client } = await session();
    peer.onAsked = ({ id }) => peer.say({ error: { class: 'GenericError', desc: 'not now' }, id });
    await expect(client.quit()).rejects.toThrow('not now');
  });

  it('says how much of a message came when the stream ends in the middle of one', async () => {
    const { peer, client } = await session();
    const call = client.execute('query-status');
    await settle();
    peer.write('{"return": {"runn');
    peer.end();
    await expect(call).rejects.toThrow(/in the middle of a message \(17 bytes/);
  });
});

describe('hostile bytes', () => {
  it('before the greeting are refused with what they were', async () => {
    for (const bytes of [
      'hello, world\r\n',
      "QEMU 7.2.0 monitor - type 'help' for more information\r\n",
      '{"QMP": \u0000}\n',
      '[]\n',
      '\u001b[31m\n',
    ]) {
      const peer = new ScriptedPeer();
      peer.write(bytes);
      await expect(QmpClient.fromStream(peer.stream, { timeout: 5000 })).rejects.toMatchObject({
        code: 'QMP_LINK',
        hint: expect.stringContaining('QMP socket'),
      });
    }
  });

  it('that belong to nothing are kept as strays and disturb nothing: unknown ids, errors without id, a second greeting', async () => {
    const { peer, client } = await session();
    const call = client.execute('query-name');
    await settle();
    const strays = [
      { return: {}, id: 4711 },
      { return: {}, id: 'one' },
      { return: {}, id: { $: 1 } },
      { return: {} },
      { error: { class: 'GenericError', desc: 'JSON parse error' } },
      { error: 'not an object' },
      { QMP: { version: { qemu: { major: 1, minor: 1, micro: 1 }, package: '' }, capabilities: [] } },
      { event: 5 },
      {},
    ];
    peer.say(...strays);
    peer.answer(peer.asked[0], { name: 'vm' });
    expect(await call).toEqual({ name: 'vm' });
    expect(client.strays).toHaveLength(strays.length);
    expect(client.greeting.version.major).toBe(7);
    expect(client.isClosed).toBe(false);
  });

  it('may be nested ten thousand deep', async () => {
    const { peer, client } = await session();
    const call = client.execute('query-name');
    await settle();
    peer.write(`{"id": 99, "return": ${'['.repeat(10_000)}${']'.repeat(10_000)}}\n`);
    peer.write(`{"event": "X", "data": {"d": ${'{"d":'.repeat(10_000)}1${'}'.repeat(10_000)}}}\n`);
    peer.answer(peer.asked[0]);
    await call;
    expect(client.strays).toHaveLength(1);
  });

  it('of an answer twice end the call once', async () => {
    const { peer, client } = await session();
    peer.onAsked = (asked) => peer.say({ return: 1, id: asked.id }, { return: 2, id: asked.id });
    expect(await client.executeUntyped('a')).toBe(1);
    expect(await client.executeUntyped('b')).toBe(1);
  });

  it('end the connection with an error when they exceed the limit', async () => {
    const peer = ScriptedPeer.greeting();
    const client = await QmpClient.fromStream(peer.stream, { limit: 1000 });
    const call = client.execute('query-name');
    await settle();
    peer.write(`{"return": "${'x'.repeat(2000)}`);
    await expect(call).rejects.toThrow(/longer than the limit of 1000 bytes/);
  });
});

describe('the greeting', () => {
  it('that never comes is reported after the timeout, with what came instead', async () => {
    const peer = new ScriptedPeer();
    peer.write('SSH-2.0');
    await expect(QmpClient.fromStream(peer.stream, { timeout: 30 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      awaited: "QEMU's QMP greeting",
      evidence: { greeted: false, received: '"SSH-2.0"' },
      hint: expect.stringContaining('QEMU hangs at its start'),
    });
    expect(peer.stream.destroyed).toBe(true);
  });

  it('without oob leaves out-of-band commands out', async () => {
    const peer = ScriptedPeer.greeting({
      QMP: { version: { qemu: { major: 7, minor: 2, micro: 0 }, package: '' }, capabilities: [] },
    });
    const client = await QmpClient.fromStream(peer.stream);
    expect(peer.asked[0]).toEqual({ execute: 'qmp_capabilities', id: expect.any(Number) });
    await expect(client.executeOob('query-yank')).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('any session', () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('ask' as const),
        oob: fc.boolean(),
        fate: fc.constantFrom('wait', 'wait', 'wait', 'abort'),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('answer' as const), which: fc.nat(30), error: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('event' as const), text: fc.string({ unit: 'binary' }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('stray' as const), id: fc.jsonValue() }) },
  );

  it('gives each call its own answer, in whatever order they come, whatever is given up meanwhile, however the bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 50 }), async (steps, size) => {
        const { peer, client } = await session();
        const open: Asked[] = [];
        peer.onAsked = (asked) => open.push(asked);
        const say = (message: object) => {
          const bytes = Buffer.from(`${JSON.stringify(message)}\r\n`);
          for (let at = 0; at < bytes.length; at += size) peer.write(bytes.subarray(at, at + size));
        };
        const answer = ({ id, arguments: args }: Asked, error: boolean) =>
          say(
            error ? { error: { class: 'GenericError', desc: String(args?.['n']) }, id } : { return: args?.['n'], id },
          );
        const seen: string[] = [];
        client.on(({ event }) => seen.push(event));
        const sent: string[] = [];
        const calls: Promise<unknown>[] = [];
        for (const one of steps) {
          if (one.do === 'ask') {
            const n = calls.length;
            const controller = new AbortController();
            const call = client.executeUntyped('echo', { n }, { signal: controller.signal, outOfBand: one.oob });
            calls.push(
              call.then(
                (value) => expect(value).toBe(n),
                (error: Error) => expect(error.message).toMatch(new RegExp(`^echo: ${n}$|^aborted`)),
              ),
            );
            if (one.fate === 'abort') controller.abort();
          } else if (one.do === 'answer') {
            await settle();
            const [asked] = open.splice(one.which % Math.max(1, open.length), 1);
            if (asked) answer(asked, one.error);
          } else if (one.do === 'event') {
            sent.push(one.text);
            say({ event: one.text, data: {} });
          } else say({ return: 'stray', id: typeof one.id === 'number' ? -1 : one.id });
          expect(open.filter((asked) => asked.execute !== undefined).length).toBeLessThanOrEqual(8);
        }
        peer.onAsked = (asked) => answer(asked, false);
        for (const asked of open.splice(0)) answer(asked, false);
        await Promise.all(calls);
        await settle();
        expect(seen).toEqual(sent);
        await client.close();
      }),
      { numRuns: 60 },
    );
  });
});

import { duplexPair } from 'node:stream';
import { GuestAgent, isQmpilotError, QmpClient } from '@qmpilot/core/qmp';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fuzz, LIMIT } from '../../support/fuzz/parameters.js';

const message = fc.oneof(
  fc.record({ return: fc.jsonValue(), id: fc.oneof(fc.integer({ min: 0, max: 12 }), fc.jsonValue()) }),
  fc.record({
    error: fc.oneof(fc.record({ class: fc.string(), desc: fc.string({ unit: 'binary' }) }), fc.jsonValue()),
    id: fc.integer({ min: 0, max: 12 }),
  }),
  fc.record({
    event: fc.oneof(fc.constantFrom('STOP', 'RESUME', '__proto__', 'constructor'), fc.string({ unit: 'binary' })),
    data: fc.jsonValue(),
    timestamp: fc.jsonValue(),
  }),
  fc.constant({ QMP: { version: { qemu: { major: 9, minor: 9, micro: 9 }, package: 'x' }, capabilities: ['oob'] } }),
  fc.jsonValue(),
);
const bytes = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(message, fc.constantFrom('\n', '\r\n', ' ', ''))
      .map(([value, end]) => Buffer.from(JSON.stringify(value) + end)),
  },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom('\u0000\n', '\ufeff{}\n', '{"return":\n', '}\n', '[[[[\n', '"\\ud800"\n')
      .map((text) => Buffer.from(text)),
  },
);
/** What a peer writes: whole messages, broken ones and noise, with bytes flipped and cut anywhere. */
const conversation = fc
  .tuple(
    fc.array(bytes, { maxLength: 20 }),
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
    fc.integer({ min: 1, max: 400 }),
  )
  .map(([parts, flips, size]) => {
    const all = Buffer.concat(parts);
    for (const [place, value] of flips) if (all.length > 0) all[place % all.length] = value;
    return Array.from({ length: Math.ceil(all.length / size) }, (_, index) =>
      all.subarray(index * size, (index + 1) * size),
    );
  });

const GREETING =
  '{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}, "capabilities": ["oob"]}}\r\n';

async function turns(): Promise<void> {
  for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function onlyQmpilotErrors(calls: readonly Promise<unknown>[]): Promise<void> {
  for (const end of await Promise.allSettled(calls)) {
    if (end.status === 'rejected' && !isQmpilotError(end.reason)) throw end.reason;
  }
}

describe('whatever a peer writes', () => {
  it(
    'a QMP client settles every call, with an error of the family at most, and hears nothing after its end',
    async () => {
      let runs = 0;
      await fuzz(
        fc.asyncProperty(conversation, fc.boolean(), async (chunks, greet) => {
          runs++;
          const [near, far] = duplexPair();
          far.on('error', () => {});
          far.resume();
          if (greet) far.write(`${GREETING}{"return": {}, "id": 1}\n`);
          else for (const chunk of chunks) far.write(chunk);
          if (!greet) far.end();
          const connecting = QmpClient.fromStream(near, { limit: 4096, timeout: 5000 });
          if (!greet) return onlyQmpilotErrors([connecting.then((client) => client.close())]);
          const client = await connecting;
          const calls = [
            ...Array.from({ length: 10 }, () => client.execute('query-status')),
            client.executeOob('query-yank'),
            client.waitFor('STOP'),
          ];
          const settled = onlyQmpilotErrors(calls);
          const stream = client.events(undefined, { capacity: 3, overflow: 'drop-oldest' });
          client.on(() => expect(client.isClosed).toBe(false));
          for (const chunk of chunks) far.write(chunk);
          await turns();
          far.end();
          await settled;
          await client.closed;
          await onlyQmpilotErrors([
            (async () => {
              for await (const _event of stream);
            })(),
          ]);
          expect(isQmpilotError(client.closedReason, 'QMP_LINK')).toBe(true);
        }),
      );
      expect(runs).toBeGreaterThan(10);
    },
    LIMIT,
  );

  it(
    'a guest agent client settles every call, and rejects only with a QmpilotError',
    async () => {
      let runs = 0;
      await fuzz(
        fc.asyncProperty(conversation, async (chunks) => {
          runs++;
          const [near, far] = duplexPair();
          far.on('error', () => {});
          far.resume();
          const agent = GuestAgent.fromStream(near, { limit: 4096 });
          const calls = [agent.execute('guest-ping'), agent.execute('guest-shutdown'), agent.executeUntyped('guest-x')];
          for (const call of calls) call.catch(() => {});
          for (const chunk of chunks) far.write(chunk);
          await turns();
          far.end();
          await onlyQmpilotErrors(calls);
          await agent.close();
        }),
      );
      expect(runs).toBeGreaterThan(10);
    },
    LIMIT,
  );
});

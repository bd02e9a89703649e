import type { Duplex } from 'node:stream';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { Channel } from '../../console/channel.js';
import { duplexPair } from '../../testing/duplex-pair.js';
import { CopyPort, type PortUse } from './copy-port.js';

let port: CopyPort;
/** The guest's end. */
let guest: Duplex;
/** What came to the guest. */
let received: string;
const signal = new AbortController().signal;

beforeEach(() => {
  const [near, far] = duplexPair();
  const channel = new Channel('copy-port');
  channel.attach(near);
  port = new CopyPort(channel);
  guest = far;
  received = '';
  guest.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
});

async function reserve(): Promise<PortUse> {
  const use = await port.reserve({});
  if (!use) throw new Error('the port is not free');
  return use;
}

const marks = (script: string) => [...script.matchAll(/\b[0-9a-f]{32}\b/g)].map(([mark]) => mark);
const turns = async () => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

describe('the port for copies, to the guest', () => {
  it('carries nothing before the script says that it has opened the port', async () => {
    const use = await reserve();
    const [nonce = ''] = marks(use.receiving);
    const sending = use.send(Buffer.from('piece'), signal);
    guest.write('what another program says\n');
    await turns();
    expect(received).toBe('');
    guest.write(`${nonce}\n`);
    await turns();
    expect(received).toBe(`\n${nonce}\n`);
    guest.write('.');
    await sending;
    await turns();
    expect(received).toBe(`\n${nonce}\n5\npiece`);
  });

  it('carries two pieces until the first one is answered, also after more answers than pieces', async () => {
    const use = await reserve();
    const [nonce] = marks(use.receiving);
    guest.write(`${nonce}\n${'.'.repeat(1000)}`);
    const sending = (async () => {
      for (const piece of ['one', 'two', 'three', 'four']) await use.send(Buffer.from(piece), signal);
    })();
    await turns();
    guest.write('.');
    await turns();
    expect(received).toMatch(/one3\ntwo$/);
    guest.write('.');
    await turns();
    expect(received).toMatch(/one3\ntwo5\nthree$/);
    guest.write('.');
    await sending;
  });

  it('carries nothing while it is held, also of a copy that begins meanwhile', async () => {
    const use = await reserve();
    guest.write(`${marks(use.receiving)[0]}\n`);
    const first = use.send(Buffer.from('first'), signal);
    await turns();
    guest.write('.');
    await first;
    let isHeld = false;
    const holding = port.hold().then((release) => {
      isHeld = true;
      return release;
    });
    await turns();
    expect(isHeld).toBe(false);
    guest.write('.');
    const release = await holding;
    const second = use.send(Buffer.from('second'), signal);
    await turns();
    expect(received).not.toContain('second');
    use.release();
    await expect(second).rejects.toThrow();
    const next = await reserve();
    const sending = next.send(Buffer.from('next'), signal);
    guest.write(`${marks(next.receiving)[0]}\n`);
    await turns();
    expect(received).toMatch(/first$/);
    release();
    await turns();
    guest.write('.');
    await sending;
    expect(received).toContain('next');
  });

  it('fails a copy whose data the guest does not take when a snapshot is to be taken', async () => {
    const use = await reserve();
    guest.write(`${marks(use.receiving)[0]}\n`);
    const sending = use.send(Buffer.from('piece'), signal);
    sending.catch(() => {});
    await turns();
    (await port.hold())();
    await expect(sending).rejects.toMatchObject({
      code: 'COPY_FAILED',
      message: expect.stringContaining('a snapshot was taken'),
    });
    use.release();
    expect((await reserve()).receiving).toContain('sed');
  });
});

describe('the port for copies, from the guest', () => {
  it('carries the bytes before the end mark, wherever the chunks of the guest end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 400 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 }),
        async (bytes, sizes) => {
          const use = await reserve();
          const [nonce, end] = marks(use.sending('true'));
          const stream = use.receive();
          const all = Buffer.concat([Buffer.from(`left over\n${nonce}\n`), bytes, Buffer.from(`${end}and more`)]);
          for (let at = 0, index = 0; at < all.length; index += 1) {
            const size = sizes[index % sizes.length] ?? 1;
            guest.write(all.subarray(at, at + size));
            at += size;
            await turns();
          }
          const chunks: Buffer[] = [];
          for await (const chunk of stream) chunks.push(chunk as Buffer);
          expect(Buffer.concat(chunks)).toEqual(Buffer.from(bytes));
          use.release();
        },
      ),
      { numRuns: 40 },
    );
  });

  it('makes the guest wait while nothing reads, and others can use it after a copy that nobody reads to its end', async () => {
    const use = await reserve();
    const [nonce] = marks(use.sending('true'));
    const stream = use.receive();
    guest.write(`${nonce}\n`);
    const flood = Buffer.alloc(1 << 20, 'x');
    let written = 0;
    for (; written < 64 && guest.write(flood); written += 1) await turns();
    await turns();
    expect(stream.readableLength).toBeLessThan(4 << 20);
    stream.destroy();
    use.release();
    const next = await reserve();
    next.receive();
    const begun = next.awaitScript(signal);
    guest.write(`\n${marks(next.sending('true'))[0]}\n`);
    await begun;
    next.release();
  });
});

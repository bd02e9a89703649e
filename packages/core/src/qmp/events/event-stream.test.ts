import { describe, expect, it } from 'vitest';
import { EventStream } from './event-stream.js';

async function all<E>(stream: EventStream<E>): Promise<E[]> {
  const seen: E[] = [];
  for await (const one of stream) seen.push(one);
  return seen;
}

describe('the buffer of an event stream', () => {
  it('ends a reader that falls behind with an error, after what was kept', async () => {
    const stream = new EventStream<number>({ capacity: 2 }, () => {});
    for (const n of [1, 2, 3, 4]) stream.push(n);
    expect([await stream.next(), await stream.next()].map(({ value }) => value as unknown)).toEqual([1, 2]);
    await expect(stream.next()).rejects.toThrow(/more than 2 events/);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('throws the oldest away and counts it, where that was asked for', async () => {
    const stream = new EventStream<number>({ capacity: 2, overflow: 'drop-oldest' }, () => {});
    for (const n of [1, 2, 3, 4]) stream.push(n);
    stream.end(undefined);
    expect(await all(stream)).toEqual([3, 4]);
    expect(stream.dropped).toBe(2);
  });

  it('holds at least one event: another capacity is refused', () => {
    for (const capacity of [0, -1, 1.5, Number.NaN])
      expect(() => new EventStream({ capacity }, () => {})).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });

  it('ends quietly by its signal, by return and by leaving the loop, and stops listening once', async () => {
    let stopped = 0;
    const controller = new AbortController();
    const stream = new EventStream<number>({ signal: controller.signal }, () => stopped++);
    const reading = all(stream);
    controller.abort();
    expect(await reading).toEqual([]);
    await stream.return();
    stream.push(1);
    expect(stopped).toBe(1);
  });
});

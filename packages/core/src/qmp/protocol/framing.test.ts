import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineFramer } from './framing.js';

/** Cuts bytes at the places given, each a share of the whole. */
function cut(bytes: Buffer, shares: readonly number[]): Buffer[] {
  const places = shares.map((share) => Math.floor(share * bytes.length)).toSorted((a, b) => a - b);
  return [...places, bytes.length].map((place, index) => bytes.subarray(places[index - 1] ?? 0, place));
}

function read(framer: LineFramer, chunks: readonly Buffer[]): string[] {
  const texts: string[] = [];
  for (const chunk of chunks) framer.push(chunk, (text) => texts.push(text));
  return texts;
}

const message = fc.jsonValue({ stringUnit: 'binary' }).map((value) => JSON.stringify(value));
const shares = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 40 });

describe('framing', () => {
  it('gives the same messages wherever the chunks were cut, inside UTF-8 too', () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 10 }),
        shares,
        fc.constantFrom('\n', '\r\n'),
        (messages, places, end) => {
          const bytes = Buffer.from(messages.map((text) => text + end).join(''));
          expect(read(new LineFramer(), cut(bytes, places)).map((text) => text.trimEnd())).toEqual(messages);
        },
      ),
    );
  });

  it('gives the same messages byte by byte', () => {
    const text = JSON.stringify({ event: 'ä€😀', data: { x: '😀'.repeat(5000) } });
    const bytes = Buffer.from(`${text}\n${text}\n`);
    expect(
      read(
        new LineFramer(),
        Array.from(bytes, (byte) => Buffer.from([byte])),
      ),
    ).toEqual([text, text]);
  });

  it('does not change the chunks it was given', () => {
    const [one, two] = [Buffer.from('{"a":'), Buffer.from('1}\n{"b"')];
    const copies = [Buffer.from(one), Buffer.from(two)];
    read(new LineFramer(), [one, two, Buffer.from(':2}\n')]);
    expect([one, two]).toEqual(copies);
  });

  it('takes a message as long as its limit, in whatever pieces, and refuses one byte more before its end came', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), shares, (limit, places) => {
        const fits = Buffer.from(`${'x'.repeat(limit)}\n`);
        expect(read(new LineFramer(limit), cut(fits, places))).toHaveLength(1);
        const over = cut(Buffer.from('x'.repeat(limit + 1)), places);
        expect(() => read(new LineFramer(limit), over)).toThrow(
          expect.objectContaining({ code: 'QMP_LINK', message: expect.stringContaining(String(limit)) }),
        );
      }),
    );
  });

  it('takes 64 MiB by default', () => {
    const limit = 64 * 1024 * 1024;
    const half = Buffer.alloc(limit / 2, 'x');
    expect(read(new LineFramer(), [half, half, Buffer.from('\n')])[0]).toHaveLength(limit);
    expect(() => read(new LineFramer(), [half, half, Buffer.from('x')])).toThrow(/longer than the limit/);
  });

  it('delivers what came before a message that is too long', () => {
    const texts: string[] = [];
    expect(() => new LineFramer(5).push(Buffer.from('{}\n{}\n{"a":1}\n'), (text) => texts.push(text))).toThrow(/limit/);
    expect(texts).toEqual(['{}', '{}']);
  });

  it('drops what precedes the restart byte in a line, wherever it was cut', () => {
    fc.assert(
      fc.property(message, fc.uint8Array({ maxLength: 30 }), shares, (text, before, places) => {
        const noise = Buffer.from(before.filter((byte) => byte !== 0x0a));
        const bytes = Buffer.concat([noise, Buffer.from([0xff]), Buffer.from(`${text}\n`), Buffer.from(`${text}\n`)]);
        expect(read(new LineFramer(undefined, 0xff), cut(bytes, places))).toEqual([text, text]);
      }),
    );
  });
});

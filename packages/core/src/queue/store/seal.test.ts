import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { unpackBundle } from './bundle.js';
import { QueueKey } from './seal.js';

const KEY = new QueueKey('a secret of this test');
const BODY = Buffer.from('1 42');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'qmpilot-seal-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('opens only what was signed with the same key, for the same purpose and run', () => {
  const sealed = KEY.seal('attempt', 'run', BODY);
  expect(KEY.open('attempt', 'run', sealed)).toEqual(BODY);
  expect(new QueueKey('another secret of this test').open('attempt', 'run', sealed)).toBeUndefined();
  expect(KEY.open('message', 'run', sealed)).toBeUndefined();
  expect(KEY.open('attempt', 'another run', sealed)).toBeUndefined();
});

it('opens nothing of which a byte was changed, or that is too short', () => {
  const sealed = KEY.seal('run', 'run', BODY);
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = Buffer.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(KEY.open('run', 'run', changed)).toBeUndefined();
  }
  expect(KEY.open('run', 'run', Buffer.alloc(0))).toBeUndefined();
  expect(KEY.open('run', 'run', BODY)).toBeUndefined();
});

it.each([undefined, '', 'short'])('refuses the key %j', (text) => {
  expect(() => new QueueKey(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
});

it('refuses a scenario that is not the signed one', async () => {
  const bytes = gzipSync('[]');
  await expect(unpackBundle(bytes, 'f'.repeat(64), folder)).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('its hash is not the one that was signed'),
  });
});

it.each(['../outside.ts', '/tmp/outside.ts', 'a/../../outside.ts'])('writes no file %j of a scenario', async (path) => {
  const bytes = gzipSync(JSON.stringify([{ path, text: '' }]));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  await expect(unpackBundle(bytes, sha256, folder)).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('it names the file'),
  });
  expect(readdirSync(folder)).toEqual([]);
});

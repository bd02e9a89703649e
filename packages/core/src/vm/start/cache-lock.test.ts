import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lockForMaking } from './cache-lock.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cache-lock-'));
  path = join(folder, '.lock');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const signal = undefined;

it('is held by one at a time; another waits as long as it was told, and is then refused', async () => {
  const held = await lockForMaking(path, { timeoutMs: 1000, signal });
  expect(await lockForMaking(path, { timeoutMs: 1000, signal })).toBeUndefined();
  const waiting = lockForMaking(path, { timeoutMs: 600_000, signal });
  await held?.release(false);
  const next = await waiting;
  expect(next).toBeDefined();
  expect(existsSync(path)).toBe(true);
  await next?.release(true);
  expect(existsSync(path)).toBe(false);
});

it('ends the wait when the signal fires, and leaves the lock to be taken', async () => {
  const held = await lockForMaking(path, { timeoutMs: 1000, signal });
  const aborted = new AbortController();
  const waiting = lockForMaking(path, { timeoutMs: 600_000, signal: aborted.signal });
  aborted.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
  await held?.release(false);
  await (await lockForMaking(path, { timeoutMs: 600_000, signal }))?.release(true);
});

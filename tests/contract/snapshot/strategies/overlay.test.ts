import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  baseImages,
  createOverlay,
  flattenOverlay,
} from '../../../../packages/core/src/snapshot/strategies/overlay.js';

const CLUSTER = 64 * 1024;
let dir: string;
let base: { file: string; format: string };

/** `letters` clusters, each full of one letter. */
const content = (letters: string) => Buffer.concat([...letters].map((letter) => Buffer.alloc(CLUSTER, letter)));

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-overlay-'));
  const raw = join(dir, 'base.raw');
  writeFileSync(raw, content('aaaa'));
  base = { file: join(dir, 'base.qcow2'), format: 'qcow2' };
  execFileSync('qemu-img', ['convert', '-O', 'qcow2', raw, base.file]);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** An overlay that differs from what is below it in one cluster. */
async function overlay(name: string, below: string, at: number, letter: string): Promise<string> {
  const file = join(dir, name);
  await createOverlay({ file: below, format: 'qcow2' }, file);
  execFileSync('qemu-io', ['-c', `write -P ${letter.codePointAt(0)} ${at * CLUSTER} ${CLUSTER}`, file]);
  return file;
}

function letters(file: string): string {
  const raw = join(dir, 'read.raw');
  execFileSync('qemu-img', ['convert', '-O', 'raw', file, raw]);
  const bytes = readFileSync(raw);
  return [0, 1, 2, 3].map((index) => String.fromCodePoint(bytes[index * CLUSTER] ?? 0)).join('');
}

describe('flattenOverlay', () => {
  it.each([1, 2, 3])('keeps what each of %i overlays holds', async (count) => {
    let top = base.file;
    for (const [index, letter] of [...'bcd'].slice(0, count).entries())
      top = await overlay(`${letter}.qcow2`, top, index, letter);
    const flat = join(dir, 'flat.qcow2');
    await flattenOverlay(top, base, flat, undefined);
    expect(letters(flat)).toBe(letters(top));
    expect(letters(flat)).toBe('bcda'.slice(0, count).padEnd(4, 'a'));
    const info: unknown = JSON.parse(execFileSync('qemu-img', ['info', '--output=json', flat], { encoding: 'utf8' }));
    expect(info).toMatchObject({ 'backing-filename': base.file });
  });
});

describe('baseImages', () => {
  it('gives the image of the guest with those below it, and the lowest image where it is not in the chain', async () => {
    const image = await overlay('image.qcow2', base.file, 0, 'i');
    const own = await overlay('own.qcow2', await overlay('between.qcow2', image, 1, 'x'), 2, 'y');
    expect((await baseImages(own, [image])).map(({ file }) => file)).toEqual([image, base.file]);
    expect((await baseImages(own, [])).map(({ file }) => file)).toEqual([base.file]);
  });
});

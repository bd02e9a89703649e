import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, debian, quote, type Vm } from '@qmpilot/core';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';

let vm: Vm;
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-trees-'));
  vm = await boot(debian(), { cache: true });
});
afterAll(async () => {
  await vm?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Names, sizes and checksums of a tree, in one order. */
const LIST = (root: string) =>
  `cd ${quote(root)} && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum && find . -type d | LC_ALL=C sort`;

async function copyBoth(tree: string): Promise<void> {
  const want = execFileSync('bash', ['-c', LIST(tree)], { encoding: 'utf8', maxBuffer: 1 << 26 });
  try {
    await vm.copyIn(tree, '/root/tree');
    expect((await vm.expectOk(LIST('/root/tree'))).stdout === want).toBe(true);
    await vm.copyOut('/root/tree', `${tree}.back`);
    expect(execFileSync('bash', ['-c', LIST(`${tree}.back`)], { encoding: 'utf8', maxBuffer: 1 << 26 }) === want).toBe(
      true,
    );
  } finally {
    await vm.exec('rm -rf /root/tree');
  }
}

it('copies 2000 files of 4500 bytes, whose archive is longer than the pieces it is sent in', async () => {
  const tree = join(dir, 'many');
  mkdirSync(tree);
  for (let index = 0; index < 2000; index += 1) writeFileSync(join(tree, `f${index}`), Buffer.alloc(4500, index));
  await copyBoth(tree);
});

it('copies any tree of odd sizes and names, in and out', async () => {
  const name = fc
    .string({ unit: fc.constantFrom(...'ab -\'"$\n\\é日%'), minLength: 1, maxLength: 12 })
    .map((text) => `f${text}`);
  const size = fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.constantFrom(511, 512, 513, 4500, 262_144, 700_001));
  const trees = fc.array(fc.tuple(name, name, size), { minLength: 1, maxLength: 25 });
  let count = 0;
  await fc.assert(
    fc.asyncProperty(trees, async (files) => {
      const tree = join(dir, `any${(count += 1)}`);
      for (const [folder, file, bytes] of files) {
        mkdirSync(join(tree, `d${folder}`), { recursive: true });
        writeFileSync(join(tree, `d${folder}`, file), Buffer.alloc(bytes, file));
      }
      await copyBoth(tree);
    }),
    { numRuns: 6, endOnFailure: true },
  );
});

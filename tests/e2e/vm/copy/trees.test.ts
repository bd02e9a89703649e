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

async function expectCopy(tree: string, back: boolean): Promise<void> {
  const list = (root: string) => execFileSync('bash', ['-c', LIST(root)], { encoding: 'utf8', maxBuffer: 1 << 26 });
  try {
    await vm.copyIn(tree, '/root/tree');
    expect((await vm.expectOk(LIST('/root/tree'))).stdout).toBe(list(tree));
    if (!back) return;
    await vm.copyOut('/root/tree', `${tree}.back`);
    expect(list(`${tree}.back`)).toBe(list(tree));
  } finally {
    await vm.exec('rm -rf /root/tree');
  }
}

it('copies in a tree of odd sizes whose archive is longer than the pieces it is sent in', async () => {
  const tree = join(dir, 'many');
  mkdirSync(tree);
  for (let index = 0; index < 400; index += 1) writeFileSync(join(tree, `f${index}`), Buffer.alloc(22_001, index));
  await expectCopy(tree, false);
});

it('copies any tree of odd sizes and names, in and out', async () => {
  const name = fc
    .string({ unit: fc.constantFrom(...'ab -\'"$\n\\é日%'), minLength: 1, maxLength: 12 })
    .map((text) => `f${text}`);
  const size = fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.constantFrom(511, 512, 513, 4500, 262_144));
  const trees = fc.array(fc.tuple(name, name, size), { minLength: 1, maxLength: 25 });
  let count = 0;
  await fc.assert(
    fc.asyncProperty(trees, async (files) => {
      const tree = join(dir, `any${(count += 1)}`);
      for (const [folder, file, bytes] of files) {
        mkdirSync(join(tree, `d${folder}`), { recursive: true });
        writeFileSync(join(tree, `d${folder}`, file), Buffer.alloc(bytes, file));
      }
      await expectCopy(tree, true);
    }),
    { numRuns: 3, endOnFailure: true },
  );
});

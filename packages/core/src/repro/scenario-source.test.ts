import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { hashScenario } from './scenario-source.js';

let dir: string;
beforeEach(async () => (dir = await mkdtemp(join(tmpdir(), 'scenario-source-'))));
afterEach(() => rm(dir, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFile(join(dir, name), text);
const hash = async () => hashScenario(join(dir, 'a.ts'), await readFile(join(dir, 'a.ts')));

it('is that of the text where nothing is imported by a relative path', async () => {
  await write('a.ts', "import { debian } from '@qmpilot/core';\n");
  expect(await hash()).toBe(createHash('sha256').update("import { debian } from '@qmpilot/core';\n").digest('hex'));
});

it('changes with whatever is imported, however far away, and with nothing else', async () => {
  await write('a.ts', "import { b } from './b.js';\nconst d = await import('./d.json');\n");
  await write('b.ts', "export { c as b } from './c';\nimport './a.js';\n");
  await write('c.ts', 'export const c = 1;\n');
  await write('d.json', '{}');
  await write('other.ts', '');
  const first = await hash();
  await write('other.ts', 'changed');
  expect(await hash()).toBe(first);
  await write('c.ts', 'export const c = 2;\n');
  const second = await hash();
  expect(second).not.toBe(first);
  await write('d.json', '{"x": 1}');
  expect(await hash()).not.toBe(second);
});

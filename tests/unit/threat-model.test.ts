import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = readFileSync(join(ROOT, 'docs/threat-model.md'), 'utf8');
/** `file`: "title", "title" */
const named = [...PAGE.matchAll(/`([\w./-]+\.test\.ts)`: ((?:"[^"]+"(?:, )?)+)/g)].flatMap(
  ([, file = '', titles = '']) => [...titles.matchAll(/"([^"]+)"/g)].map(([, title = '']) => ({ file, title })),
);

describe('the threat model', () => {
  it.each(named)('names a test that is there: $file: $title', ({ file, title }) => {
    const path = join(ROOT, file);
    const source = existsSync(path) ? readFileSync(path, 'utf8') : '';
    expect([`'${title}'`, `"${title}"`, `\`${title}\``].some((quoted) => source.includes(quoted))).toBe(true);
  });

  it('names a test at every point', () => {
    const points = PAGE.split('\n').filter((line) => line.startsWith('- '));
    expect(points.length).toBeGreaterThan(25);
    expect(points.filter((line) => !/\.test\.ts`/.test(line) && !/pnpm check:packages/.test(line))).toEqual([]);
  });
});

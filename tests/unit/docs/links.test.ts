import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readPages, ROOT, targetOf } from './pages.js';

const pages = readPages();

/** A heading's anchor as GitHub makes it. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
}

function anchors(text: string): readonly string[] {
  return [...text.replace(/^```[^]*?^```/gm, '').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading));
}

const links = pages.flatMap(({ path, prose }) =>
  prose.flatMap((line, index) =>
    [...line.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => ({ at: `${path}:${index + 1}`, path, link })),
  ),
);

it('every link leads to a file, and to a heading of it', () => {
  const wrong = links.flatMap(({ at, path, link }) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [file = '', anchor] = link.split('#');
    const target = file === '' ? path : targetOf(path, file);
    if (!existsSync(join(ROOT, target))) return [`${at}: there is no ${target}`];
    if (anchor === undefined) return [];
    return anchors(readFileSync(join(ROOT, target), 'utf8')).includes(anchor)
      ? []
      : [`${at}: ${target} has no heading #${anchor}`];
  });
  expect(wrong).toEqual([]);
});

it('the index of docs leads to every page', () => {
  const linked = new Set(
    links
      .filter(({ path }) => path === 'docs/README.md')
      .map(({ path, link }) => targetOf(path, link.split('#')[0] ?? '')),
  );
  const missing = pages
    .map(({ path }) => path)
    .filter((path) => path.startsWith('docs/') && path !== 'docs/README.md' && !linked.has(path));
  expect(missing).toEqual([]);
});

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

export interface Block {
  /** `docs/qmp.md:5`: the position of its first line. */
  readonly at: string;
  readonly page: string;
  readonly line: number;
  readonly language: string;
  /** What follows the language: `runnable`. */
  readonly marks: readonly string[];
  readonly text: string;
}

export interface Page {
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  /** The page without its blocks, line by line. */
  readonly prose: readonly string[];
}

/** Every page that people read: the README files, docs/ without what typedoc writes, and the changelog. */
export function readPages(): readonly Page[] {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md') && !file.startsWith('api/'))
    .map((file) => join('docs', file));
  return ['README.md', 'CHANGELOG.md', 'packages/core/README.md', 'packages/cli/README.md', ...docs.toSorted()].map(
    readPage,
  );
}

function readPage(path: string): Page {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const blocks: Block[] = [];
  const prose: string[] = [];
  let open: { line: number; info: string; lines: string[] } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^\s*```(.*)$/.exec(line);
    if (fence && open) {
      const [language = '', ...marks] = open.info.split(' ');
      blocks.push({
        at: `${path}:${open.line}`,
        page: path,
        line: open.line,
        language,
        marks,
        text: open.lines.join('\n'),
      });
      open = undefined;
    } else if (fence) open = { line: index + 2, info: fence[1] ?? '', lines: [] };
    else open?.lines.push(line);
    prose.push(open || fence ? '' : line);
  }
  if (open) throw new Error(`${path}: the block at line ${open.line} does not end`);
  return { path, text, blocks, prose };
}

/** The path of a link's target, seen from the project's root. */
export function targetOf(page: string, link: string): string {
  const target = relative(ROOT, join(ROOT, dirname(page), link));
  // The packed package has a copy of docs/ (tools/release/copy-docs.mjs).
  return target.replace(/^packages\/core\/docs(?=\/|$)/, 'docs');
}

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Literary, archaic or literally translated wording, which readers stumble over. */
const WORDS = new RegExp(
  [
    'in vain',
    'anew',
    'whoever',
    'whomever',
    'lets? go of',
    'let go',
    'is no name',
    'mend(?:s|ed|ing)?',
    'of its own accord',
    'stands still',
    'stood still',
    'beforehand',
    'this should not happen',
    'sit down at',
    'for ever',
    'by turns',
    'be had',
    'all the same',
    'nevertheless',
  ]
    .map((word) => String.raw`\b${word}\b`)
    .join('|'),
  'i',
);

const ROOTS = [
  'packages',
  'docs',
  'examples',
  'tests',
  'tools',
  'scripts',
  'bench',
  'nix',
  'recipes',
  'README.md',
  'CHANGELOG.md',
];
const SKIPPED =
  /(?:^|\/)(?:node_modules|dist|api|generated|fixtures|npm-project)(?:\/|$)|words\.test\.ts$|LICENSE|package-lock/;
const TEXT = /\.(?:ts|mts|js|mjs|md|nix|sh|json|css|html|service|c|yml|yaml|sbatch)$/;

function* files(path: string): Generator<string> {
  if (SKIPPED.test(path)) return;
  const full = join(ROOT, path);
  if (TEXT.test(path)) yield path;
  else if (!/\.[a-z]+$/.test(path))
    for (const entry of readdirSync(full, { withFileTypes: true }))
      if (entry.isDirectory() || TEXT.test(entry.name)) yield* files(relative(ROOT, join(full, entry.name)));
}

it('source, tests and documentation are in plain English', () => {
  const found = ROOTS.flatMap((root) => [...files(root)]).flatMap((path) =>
    readFileSync(join(ROOT, path), 'utf8')
      .split('\n')
      .flatMap((line, index) => {
        const match = WORDS.exec(line);
        return match ? [`${path}:${index + 1}: ${match[0]}`] : [];
      }),
  );
  expect(found).toEqual([]);
});

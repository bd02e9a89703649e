import { createHash } from 'node:crypto';
import { join } from 'node:path';

/** The part of a Vitest `Test` that names the directory of its artifacts. */
export interface NamedTest {
  readonly id: string;
  readonly name: string;
  readonly suite?: { readonly name: string; readonly suite?: NamedTest['suite'] } | undefined;
  readonly file: { readonly name: string; readonly projectName?: string | undefined };
  readonly result?: { readonly retryCount?: number | undefined; readonly repeatCount?: number | undefined } | undefined;
}

const MAX_NAME = 80;

/**
 * Where the artifacts of one run of a test go below `root`: a folder for each file, and in it one for each test, with letters,
 * digits, `.`, `_` and `-` only. `tests`: all of the file, in order, so that two tests of one name do not share a folder.
 */
export function artifactFolder(root: string, test: NamedTest, tests: readonly NamedTest[]): string {
  const { file, result } = test;
  const name = testFolder(test);
  const nth = tests.filter((other) => testFolder(other) === name).findIndex((other) => other.id === test.id) + 1;
  const parts = [
    name,
    ...(nth > 1 ? [String(nth)] : []),
    ...count('repeat', result?.repeatCount),
    ...count('retry', result?.retryCount),
  ];
  const project = file.projectName ? [folderName(file.projectName)] : [];
  return join(root, ...project, ...file.name.split(/[\\/]+/).map(folderName), parts.join('-'));
}

/** A name that any file system takes. Where much had to be left out, a hash tells it from others. */
export function folderName(name: string): string {
  const plain = name.normalize('NFC').replace(/\s+/g, '-');
  const clean = plain
    .replace(/[^\p{L}\p{N}._-]+/gu, '-')
    .replace(/-{2,}/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '');
  const characters = [...clean];
  if (clean !== '' && clean === plain && characters.length <= MAX_NAME) return clean;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 6);
  return [characters.slice(0, MAX_NAME - hash.length - 1).join(''), hash].filter(Boolean).join('-');
}

function testFolder(test: NamedTest): string {
  const names = [test.name];
  for (let suite = test.suite; suite; suite = suite.suite) names.unshift(suite.name);
  return folderName(names.join(' '));
}

function count(word: string, value: number | undefined): string[] {
  return value ? [`${word}${value}`] : [];
}

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** What each folder of core may import, beside itself, `util` and `errors.ts`: imports point down only. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'util': [],
  'testing': [],
  'statistics': [],
  'qmp': [],
  'qemu': ['qmp'],
  'console': [],
  'shell': ['console', 'qmp'],
  'detect': [],
  'introspect': ['detect'],
  'guests': ['introspect', 'qemu'],
  'snapshot': ['qemu', 'qmp'],
  'vm': ['snapshot', 'guests', 'introspect', 'detect', 'shell', 'console', 'qemu', 'qmp'],
  'run-files': ['statistics', 'detect', 'console', 'qemu'],
  'report': ['run-files', 'statistics', 'detect'],
  'vitest': ['report', 'vm', 'guests', 'detect', 'console'],
  'repro': ['report', 'run-files', 'statistics', 'vm', 'guests', 'detect', 'console', 'qemu'],
  'queue': ['repro', 'run-files', 'qemu'],
  'bisect': ['repro', 'report', 'run-files', 'statistics', 'guests'],
  'entries': [
    'repro',
    'report',
    'run-files',
    'vm',
    'snapshot',
    'guests',
    'introspect',
    'detect',
    'shell',
    'console',
    'qemu',
  ],
};

/** The most source files of one folder. */
const MAX_FILES = 15;

interface Package {
  readonly name: string;
  readonly folder: string;
  readonly files: readonly string[];
  /** Of each source file, the files of the package that it imports, types included. */
  readonly imports: ReadonlyMap<string, readonly string[]>;
}

const core = readPackage('core');
const cli = readPackage('cli');

function readPackage(name: string): Package {
  const folder = fileURLToPath(new URL(`../../packages/${name}/src`, import.meta.url));
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const importsOf = (file: string) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(/(?:from|import)\s*\(?'(\.[^']+)'/g)].map(([, path]) =>
      relative(folder, resolve(folder, dirname(file), path ?? '')).replace(/\.js$/, '.ts'),
    );
  return { name, folder, files, imports: new Map(files.map((file) => [file, importsOf(file)])) };
}

const isTest = (file: string) => file.endsWith('.test.ts');
const topFolder = (file: string) => (file.includes('/') ? file.slice(0, file.indexOf('/')) : '');

/** The nodes of a graph that are part of a circle, or lead from one circle to another; none in a graph without circles. */
function circles(graph: ReadonlyMap<string, Iterable<string>>): string[] {
  const left = new Map([...graph].map(([node, next]) => [node, [...next]]));
  const isFree = (node: string) => {
    const isImported = [...left.values()].some((next) => next.includes(node));
    return !isImported || !(left.get(node) ?? []).some((next) => left.has(next));
  };
  for (let free = [...left.keys()].filter(isFree); free.length > 0; free = [...left.keys()].filter(isFree))
    for (const node of free) left.delete(node);
  return [...left.keys()].map((node) => `${node} -> ${(left.get(node) ?? []).filter((to) => left.has(to)).join(', ')}`);
}

/** Which of its sub-folders each sub-folder of `parent` imports from. */
function siblings({ imports }: Package, parent: string): Map<string, Set<string>> {
  const prefix = parent === '' ? '' : `${parent}/`;
  const childOf = (file: string) => (file.startsWith(prefix) ? topFolder(file.slice(prefix.length)) : '');
  const graph = new Map<string, Set<string>>();
  for (const [file, paths] of imports) {
    const from = childOf(file);
    if (from === '' || isTest(file)) continue;
    const uses = graph.get(from) ?? new Set();
    graph.set(from, uses);
    for (const to of paths.map(childOf)) if (to !== '' && to !== from) uses.add(to);
  }
  return graph;
}

describe('the layers of core', () => {
  it('knows every folder', () => {
    const folders = new Set(core.files.map(topFolder).filter((folder) => folder !== ''));
    expect(folders).toEqual(new Set(Object.keys(ALLOWED)));
  });

  it('imports only downwards', () => {
    const wrong = core.files.flatMap((file) => {
      const folder = topFolder(file);
      // The entry points and errors.ts.
      if (folder === '') return [];
      const fixtures = isTest(file) ? ['testing'] : [];
      const allowed = new Set([folder, 'util', ...fixtures, ...(ALLOWED[folder] ?? [])]);
      return (core.imports.get(file) ?? [])
        .filter((path) => path !== 'errors.ts' && !allowed.has(topFolder(path)))
        .map((path) => `${file} imports ${path}`);
    });
    expect(wrong).toEqual([]);
  });

  it('keeps detectors and introspection pure: they import no Node.js module', () => {
    const wrong = core.files
      .filter((file) => /^(?:detect|introspect)\//.test(file) && !isTest(file) && !file.endsWith('.fixture.ts'))
      .filter((file) => /from 'node:/.test(readFileSync(join(core.folder, file), 'utf8')));
    expect(wrong).toEqual([]);
  });

  it('keeps the script of the report page apart: it imports pure code only, and nothing imports it', () => {
    const client = 'report/client/';
    const wrong = [...core.imports].flatMap(([file, paths]) =>
      paths
        .filter((path) =>
          file.startsWith(client)
            ? !isTest(file) && !/^(?:report\/(?:client|html)|util\/text)\//.test(path)
            : path.startsWith(client),
        )
        .map((path) => `${file} imports ${path}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe.each([core, cli])('the source of $name', (source) => {
  it('has no import circle, types included', () => {
    const sources = new Map([...source.imports].filter(([file]) => !isTest(file)));
    expect(circles(sources)).toEqual([]);
  });

  it('has no circle among the sub-folders of a folder', () => {
    const folders = new Set(['', ...source.files.map((file) => dirname(file)).filter((folder) => folder !== '.')]);
    const found = [...folders].flatMap((folder) =>
      circles(siblings(source, folder)).map((circle) => `${folder === '' ? 'src' : folder}: ${circle}`),
    );
    expect(found).toEqual([]);
  });

  it(`has at most ${MAX_FILES} source files in a folder`, () => {
    const counts = new Map<string, number>();
    for (const file of source.files)
      if (!isTest(file) && !file.endsWith('.fixture.ts'))
        counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
    expect([...counts].filter(([, count]) => count > MAX_FILES)).toEqual([]);
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const SOURCE = fileURLToPath(new URL('../../packages/core/src', import.meta.url));

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
  'guests': ['qemu'],
  'snapshot': ['qemu', 'qmp'],
  'vm': ['snapshot', 'guests', 'detect', 'shell', 'console', 'qemu', 'qmp'],
  'run-files': ['statistics', 'detect', 'console', 'qemu'],
  'report': ['run-files', 'statistics', 'detect'],
  'vitest': ['report', 'vm', 'guests', 'detect', 'console'],
  'repro': ['report', 'run-files', 'statistics', 'vm', 'guests', 'detect', 'console', 'qemu'],
};

const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));

function importsOf(file: string): string[] {
  const text = readFileSync(join(SOURCE, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?'(\.[^']+)'/g)].map(([, path]) =>
    relative(SOURCE, resolve(join(SOURCE, dirname(file)), path ?? '')),
  );
}

describe('the layers of core', () => {
  it('knows every folder', () => {
    const folders = new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0]));
    expect(folders).toEqual(new Set([...Object.keys(ALLOWED), 'entries']));
  });

  it('imports only downwards', () => {
    const wrong = files.flatMap((file) => {
      const folder = file.split('/')[0] ?? '';
      // The entry points and errors.ts.
      if (!file.includes('/') || folder === 'entries') return [];
      const fixtures = file.endsWith('.test.ts') ? ['testing'] : [];
      const allowed = new Set([folder, 'util', 'errors.js', ...fixtures, ...(ALLOWED[folder] ?? [])]);
      return importsOf(file)
        .filter((path) => !allowed.has(path.split('/')[0] ?? ''))
        .map((path) => `${file} imports ${path}`);
    });
    expect(wrong).toEqual([]);
  });

  it('has no import circle among the operations of a VM and in the folders that work with runs, types included', () => {
    const folder = /^(?:vm\/(?!start\/)|(?:util|statistics|run-files|report|repro|vitest)\/)/;
    const sources = files.filter((file) => folder.test(file) && !file.endsWith('.test.ts'));
    const imports = new Map(
      sources.map((file) => [file, importsOf(file).map((path) => path.replace(/\.js$/, '.ts'))] as const),
    );
    // Removes files whose imports are all removed, until none is left or a circle remains.
    for (let removed = true; removed;) {
      removed = false;
      for (const [file, paths] of imports) {
        if (paths.some((path) => imports.has(path))) continue;
        imports.delete(file);
        removed = true;
      }
    }
    expect([...imports.keys()]).toEqual([]);
  });

  it('keeps the detectors pure: no Node.js module but none that does input or output', () => {
    const wrong = files
      .filter((file) => file.startsWith('detect/') && !file.endsWith('.test.ts'))
      .filter((file) => /from 'node:/.test(readFileSync(join(SOURCE, file), 'utf8')));
    expect(wrong).toEqual([]);
  });
});

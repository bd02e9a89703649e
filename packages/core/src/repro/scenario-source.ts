import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';

/** `import ... from './x'`, `export ... from './x'`, `import('./x')`, `require('./x')`. */
const RELATIVE_IMPORT = /(?:\bfrom|\bimport|\brequire)\s*\(?\s*(['"])(\.{1,2}\/[^'"\n]+)\1/g;
const ENDINGS = ['', '.ts', '.mts', '.js', '.mjs', '.json', '/index.ts', '/index.js'];

/** Returns a scenario file and everything that it imports by relative paths, by their absolute paths. */
export async function readScenarioFiles(file: string, text: Buffer): Promise<Map<string, Buffer>> {
  const found = new Map([[file, text]]);
  for (const [from, contents] of found) {
    for (const [, , wanted = ''] of contents.toString().matchAll(RELATIVE_IMPORT)) {
      const module = await readModule(resolve(dirname(from), wanted));
      if (module) found.set(module.path, module.text);
    }
  }
  return found;
}

/** Hashes a scenario and everything that it imports by relative paths; without imports, its text alone. */
export async function hashScenario(file: string, text: Buffer): Promise<string> {
  return hashFiles(file, await readScenarioFiles(file, text));
}

/** The same of files that were read. */
export function hashFiles(file: string, found: ReadonlyMap<string, Buffer>): string {
  const [text] = found.values();
  if (found.size === 1 && text) return sha256(text);
  const parts = [...found]
    .map(([path, contents]) => `${relative(dirname(file), path)} ${sha256(contents)}\n`)
    .toSorted();
  return sha256(Buffer.from(parts.join('')));
}

async function readModule(path: string): Promise<{ readonly path: string; readonly text: Buffer } | undefined> {
  // TypeScript files are imported by the names of their JavaScript output.
  const candidates = [...ENDINGS.map((ending) => path + ending), path.replace(/\.([cm]?)js$/, '.$1ts')];
  for (const candidate of candidates) {
    try {
      return { path: candidate, text: await readFile(candidate) };
    } catch {
      // Try the next ending.
    }
  }
  return undefined;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

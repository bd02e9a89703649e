// Copies docs/ into packages/core before it is packed, so that the installed package explains itself. Links that lead out of docs/ become text.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SOURCE = join(ROOT, 'docs');
const TARGET = join(ROOT, 'packages/core/docs');

rmSync(TARGET, { recursive: true, force: true });
cpSync(SOURCE, TARGET, { recursive: true, filter: (path) => relative(SOURCE, path).split('/')[0] !== 'api' });
for (const name of readdirSync(TARGET, { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.md')) continue;
  const path = join(TARGET, name);
  const text = readFileSync(path, 'utf8').replace(/\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)/g, (link, label, target) =>
    /^[a-z]+:/.test(target) || !normalize(join(dirname(name), target)).startsWith('..') ? link : label,
  );
  writeFileSync(path, text);
}

// The licenses of everything that is installed with our packages, or bundled into them. `--write` writes the lists; without it they are
// compared with what is installed.
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PACKAGES } from './pack.mjs';

const LIST = 'THIRD-PARTY-LICENSES.md';
/** What may be installed with us: licenses that ask for no more than to be named. */
const ALLOWED = new Set(['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', '0BSD', 'Unlicense']);
/** Packages that are part of files in dist, so their licenses have to travel with them. */
const BUNDLED = {
  '@qmpilot/core': { '@xterm/headless': '`dist/report-page/page.js`, and of each report.html', 'valibot': '`dist`' },
  'qmpilot': { commander: '`dist/bin.js`' },
};
/** The package has no license file: its license's text, from the project's repository. */
const TEXTS = {
  '@xterm/headless': `Copyright (c) 2017-2019, The xterm.js authors (https://github.com/xtermjs/xterm.js)
Copyright (c) 2014-2016, SourceLair Private Company (https://www.sourcelair.com)
Copyright (c) 2012-2013, Christopher Jeffrey (https://github.com/chjj/)

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in
all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN
THE SOFTWARE.`,
};

/** Folder of a dependency as Node.js finds it from `from`; undefined for an optional one that is not installed. */
function folderOf(name, from) {
  for (let folder = from; ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name);
    if (existsSync(join(found, 'package.json'))) return realpathSync(found);
    if (folder === dirname(folder)) return undefined;
  }
}

function collect(from, manifest, found = new Map()) {
  const optional = Object.keys(manifest.optionalDependencies ?? {});
  const bundled = Object.keys(BUNDLED[manifest.name] ?? {});
  for (const name of new Set([...Object.keys(manifest.dependencies ?? {}), ...optional, ...bundled])) {
    if (name.startsWith('@qmpilot/')) continue;
    const folder = folderOf(name, from);
    if (folder === undefined) {
      if (optional.includes(name)) continue;
      throw new Error(`${name}, a dependency of ${manifest.name}, is not installed`);
    }
    const dependency = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    // Old packages have `licenses`, a list of objects.
    const license = dependency.license ?? dependency.licenses?.map(({ type }) => type).join(' OR ');
    if (!ALLOWED.has(license))
      throw new Error(`${name} ${dependency.version} has the license ${license}, which is not among those allowed`);
    const key = `${name}@${dependency.version}`;
    if (found.has(key)) continue;
    found.set(key, { name, version: dependency.version, license, folder });
    collect(folder, dependency, found);
  }
  return found;
}

function textOf({ name, folder }) {
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file === undefined ? TEXTS[name] : readFileSync(join(folder, file), 'utf8');
  if (text === undefined) throw new Error(`${name} has no license file; add its text to TEXTS`);
  return text.replaceAll('\r\n', '\n').trim();
}

function listOf({ folder, manifest }) {
  const all = [...collect(folder, manifest).values()].sort((a, b) =>
    `${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1,
  );
  const lines = [
    '# Licenses of third parties',
    '',
    `What npm installs with \`${manifest.name}\`, or what is bundled into it${manifest.name === 'qmpilot' ? ', beside what `@qmpilot/core` lists' : ''}.`,
    '',
    '| package | version | license |',
    '|---|---|---|',
    ...all.map(({ name, version, license }) => `| ${name} | ${version} | ${license} |`),
  ];
  const bundled = all.filter(({ name }) => BUNDLED[manifest.name]?.[name] !== undefined);
  if (bundled.length > 0) lines.push('', '## Bundled');
  for (const dependency of bundled)
    lines.push(
      '',
      `### ${dependency.name} ${dependency.version}`,
      '',
      `Part of ${BUNDLED[manifest.name][dependency.name]}.`,
      '',
      '```text',
      textOf(dependency),
      '```',
    );
  return `${lines.join('\n')}\n`;
}

const write = process.argv.includes('--write');
for (const one of PACKAGES) {
  const file = join(one.folder, LIST);
  const list = listOf(one);
  if (write) writeFileSync(file, list);
  else if (!existsSync(file) || readFileSync(file, 'utf8') !== list) {
    console.error(`${file} is not what is installed: pnpm run licenses`);
    process.exitCode = 1;
  }
}

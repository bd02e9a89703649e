// Whether the packages are fit to be published: what is in the tarballs, how they resolve, how large they are, what they bring along, and
// whether they work where they are installed.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mustRun, ROOT } from '../../scripts/host.mjs';
import { pack } from './pack.mjs';
import { smoke } from './smoke/smoke.mjs';

const step = (name) => console.error(`-- ${name}`);
const tool = (name, ...args) => mustRun(join(ROOT, 'node_modules', '.bin', name), args);
const folder = mkdtempSync(join(tmpdir(), 'qmpilot-pack-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

step('size');
tool('size-limit');
step('licenses');
mustRun(process.execPath, ['tools/release/licenses.mjs']);
step('changesets');
mustRun(process.execPath, ['tools/release/changesets.mjs']);

const packed = pack(folder);
for (const { manifest, tarball } of packed) {
  step(`publint ${manifest.name}`);
  tool('publint', 'run', tarball, '--strict');
  if (!manifest.exports) continue;
  step(`attw ${manifest.name}`);
  // ES modules only, by decision: `require` of them works on every Node.js that is supported.
  tool('attw', tarball, '--profile', 'esm-only', '--no-definitely-typed', '--format', 'ascii', '--quiet');
}

// The peers in the versions that the tests use: npm installs no optional one by itself.
const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const peers = Object.fromEntries(
  packed
    .flatMap(({ manifest }) => Object.keys(manifest.peerDependencies ?? {}))
    .map((name) => [name, devDependencies[name]]),
);

step('install and use');
const [project] = (await smoke(packed, peers, folder)).slice(-1);

// All declarations, ours and those that they import, as a user's compiler sees them.
step('types');
tool(
  'tsc',
  '--ignoreConfig',
  '--noEmit',
  '--strict',
  '--target',
  'es2022',
  '--module',
  'nodenext',
  '--types',
  'node',
  '--typeRoots',
  join(ROOT, 'node_modules', '@types'),
  join(project, 'use-types.ts'),
);

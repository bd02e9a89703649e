// Whether a release could be made of the changesets: makes its versions and changelogs in a copy.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { mustRun, ROOT } from '../../scripts/host.mjs';
import { PACKAGES } from './pack.mjs';

const copy = mkdtempSync(join(tmpdir(), 'qmpilot-release-'));
process.on('exit', () => rmSync(copy, { recursive: true, force: true }));
for (const path of [
  '.changeset',
  'package.json',
  'pnpm-workspace.yaml',
  'pnpm-lock.yaml',
  'examples/package.json',
  'tests/package.json',
  'packages/core/package.json',
  'packages/cli/package.json',
]) {
  mkdirSync(dirname(join(copy, path)), { recursive: true });
  cpSync(join(ROOT, path), join(copy, path), { recursive: true });
}
symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
mustRun(join(ROOT, 'node_modules', '.bin', 'changeset'), ['version'], {
  cwd: copy,
  stdio: ['ignore', 'ignore', 'inherit'],
});

for (const { manifest } of PACKAGES) {
  const folder = join(copy, 'packages', manifest.name === 'qmpilot' ? 'cli' : 'core');
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  if (version === manifest.version) continue;
  if (!readFileSync(join(folder, 'CHANGELOG.md'), 'utf8').includes(`## ${version}`))
    throw new Error(`the changelog of ${manifest.name} says nothing of ${version}`);
  console.error(`${manifest.name}: ${manifest.version} becomes ${version}`);
}

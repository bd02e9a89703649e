// Node.js of other versions, from the npm registry, in the user's cache; the host's own stays as it is.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fail, mustRun } from '../../../scripts/host.mjs';

/** The oldest that is supported, and the newest of each later line. */
const VERSIONS = ['20.19.0', '22.23.3', '24.21.0', '26.10.0'];

/** `{ version, node }`, `node` being the program's path. */
export function nodeVersions() {
  return VERSIONS.map((version) => ({ version, node: fetchNode(version) }));
}

function fetchNode(version) {
  const name = `node-linux-${process.arch}`;
  const folder = join(
    process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
    'qmpilot',
    'node',
    `${version}-${process.arch}`,
  );
  const node = join(folder, 'node_modules', name, 'bin', 'node');
  if (existsSync(node)) return node;
  if (process.platform !== 'linux') fail('the packages are tried on Linux only');
  mkdirSync(dirname(folder), { recursive: true });
  const half = mkdtempSync(`${folder}.`);
  mustRun(
    'npm',
    ['install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts', '--prefix', half, `${name}@${version}`],
    { cwd: half },
  );
  rmSync(folder, { recursive: true, force: true });
  renameSync(half, folder);
  return node;
}

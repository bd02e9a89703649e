// What the scripts of this folder share: running programs, and installing what the host lacks.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
export const CANNOT_TELL = 125;

const { packageManager } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const PNPM = ['--yes', packageManager];

/** Programs that are needed, and the Debian package that has each. */
const PROGRAMS = {
  'qemu-system-x86_64': 'qemu-system-x86',
  'qemu-img': 'qemu-utils',
  'mmdebstrap': 'mmdebstrap',
  'newuidmap': 'uidmap',
  'mke2fs': 'e2fsprogs',
  'setpriv': 'util-linux',
  'tmux': 'tmux',
  'zsh': 'zsh',
  'fish': 'fish',
  'chromium': 'chromium',
  'busybox': 'busybox-static',
  'swtpm': 'swtpm',
  'xmllint': 'libxml2-utils',
  'shellcheck': 'shellcheck',
  'redis-server': 'redis-server',
  'openssl': 'openssl',
  'ip': 'iproute2',
};

function isOnPath(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Ends this script with the status of a program that failed; a signal's end is told as shells do. */
export function run(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', ...options });
  if (error) fail(`${command} could not be started: ${error.message}`);
  if (signal) process.exit(signal === 'SIGINT' ? 130 : 143);
  return status ?? CANNOT_TELL;
}

export function mustRun(command, args, options) {
  const status = run(command, args, options);
  if (status !== 0) {
    console.error(`setup: ${command} ${args.join(' ')} ended with ${status}`);
    process.exit(status);
  }
}

export function pnpm(...args) {
  mustRun('npx', [...PNPM, ...args]);
}

export function fail(message) {
  console.error(message);
  process.exit(CANNOT_TELL);
}

/** Installs by apt what is missing, where this user may; else says the one line that does. */
export function installPrograms() {
  const wanted =
    process.getuid() === 0
      ? Object.entries(PROGRAMS).filter(([name]) => name !== 'newuidmap')
      : Object.entries(PROGRAMS);
  const missing = [...new Set(wanted.filter(([name]) => !isOnPath(name)).map(([, pkg]) => pkg))];
  if (missing.length === 0) return;
  const install = `apt-get update && apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  const root = process.getuid() === 0 ? [] : ['sudo', '-n'];
  if (root.length > 0 && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status !== 0) {
    fail(
      `These Debian packages are missing: ${missing.join(', ')}. Install them and try again:\n\n  sudo sh -c '${install}'\n`,
    );
  }
  if (!isOnPath('apt-get')) fail(`These programs are missing, and this host has no apt-get: ${missing.join(', ')}`);
  console.error(`setup: installing ${missing.join(', ')}`);
  const env = ['env', 'DEBIAN_FRONTEND=noninteractive'];
  const apt = (...args) => {
    const [command, ...rest] = [...root, ...env, 'apt-get', '-qq', ...args];
    mustRun(command, rest, { stdio: ['ignore', 'ignore', 'inherit'] });
  };
  apt('update');
  apt('install', '-y', '--no-install-recommends', ...missing);
}

/** Dependencies of the project, from the lockfile; nothing to do when they are there. */
export function installDependencies() {
  const marker = join(ROOT, 'node_modules', '.modules.yaml');
  if (existsSync(marker) && isNewer(marker, join(ROOT, 'pnpm-lock.yaml'))) return;
  pnpm('install', '--frozen-lockfile', '--prefer-offline');
}

/** Builds the packages, unless what is built is newer than every source. */
export function build() {
  const built = join(ROOT, 'packages', 'cli', 'dist', 'bin.js');
  if (existsSync(built) && !hasNewer(built)) return;
  pnpm('--silent', 'run', 'build');
}

function hasNewer(built) {
  const skip = (path) => ['-path', path, '-prune', '-o'];
  const args = [
    'packages',
    ...skip('*/node_modules'),
    ...skip('*/dist'),
    '-type',
    'f',
    '-newer',
    built,
    '-print',
    '-quit',
  ];
  const { status, stdout } = spawnSync('find', args, { cwd: ROOT, encoding: 'utf8' });
  return status !== 0 || stdout.trim() !== '';
}

function isNewer(one, other) {
  return spawnSync('find', [one, '-newer', other], { encoding: 'utf8' }).stdout.trim() !== '';
}

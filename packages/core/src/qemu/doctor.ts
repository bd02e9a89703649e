import { execFile } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { cacheRoot } from '../util/files/paths.js';
import { which } from '../util/files/which.js';
import { rememberedProofs, whyKvmCannotOpen } from './accelerator.js';
import { findQemu } from './host/binary.js';

const run = promisify(execFile);

/** The result of one check of the host. */
export interface HostCheck {
  readonly name: string;
  /** `fail`: nothing works without it. `warn`: something is slower or missing. */
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do, when the check failed. */
  readonly remedy?: string;
}

const GIB = 2 ** 30;

/** Looks at everything on the host that qmpilot depends on; changes nothing. */
export async function checkHost(): Promise<HostCheck[]> {
  return Promise.all([
    checkNode(),
    checkQemu(),
    checkTool('qemu-img', ['--version'], 'fail', 'apt-get install qemu-utils'),
    checkTool('mmdebstrap', ['--version'], 'warn', 'apt-get install mmdebstrap (only to build the Debian guest)'),
    checkUserNamespaces(),
    checkKvm(),
    checkTool(
      'setpriv',
      ['--version'],
      'warn',
      'apt-get install util-linux (without it QEMU ends a moment later than its controller)',
    ),
    checkSpace('memory for RAM files', '/dev/shm', 1 * GIB, 'without room there RAM files go to TMPDIR'),
    checkSpace('temporary files', tmpdir(), 3 * GIB, 'set TMPDIR to a larger disk'),
  ]);
}

async function checkNode(): Promise<HostCheck> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const ok = major > 20 || (major === 20 && minor >= 19);
  return {
    name: 'Node.js',
    status: ok ? 'ok' : 'fail',
    detail: process.versions.node,
    ...(!ok && { remedy: 'install Node.js 20.19 or newer' }),
  };
}

async function checkQemu(): Promise<HostCheck> {
  try {
    const { path, version } = await findQemu();
    return { name: 'QEMU', status: 'ok', detail: `${version.text} (${path})` };
  } catch (error) {
    return {
      name: 'QEMU',
      status: 'fail',
      detail: error instanceof Error ? error.message : String(error),
      remedy: 'apt-get install qemu-system-x86 qemu-utils',
    };
  }
}

async function checkTool(
  name: string,
  args: readonly string[],
  otherwise: 'warn' | 'fail',
  remedy: string,
): Promise<HostCheck> {
  const path = await which(name);
  if (!path) return { name, status: otherwise, detail: 'not on PATH', remedy };
  const said = await run(path, args, { timeout: 10_000, killSignal: 'SIGKILL' }).then(
    ({ stdout, stderr }) => (stdout || stderr).split('\n')[0] ?? '',
    () => '',
  );
  return { name, status: 'ok', detail: said || path };
}

async function checkUserNamespaces(): Promise<HostCheck> {
  const name = 'user namespaces';
  if (process.getuid?.() === 0) return { name, status: 'ok', detail: 'not needed: this is root' };
  if (!(await which('newuidmap')))
    return {
      name,
      status: 'warn',
      detail: 'newuidmap is not on PATH',
      remedy: 'apt-get install uidmap (only to build the Debian guest)',
    };
  const works = await run('unshare', ['-Ur', 'true'], { timeout: 10_000, killSignal: 'SIGKILL' }).then(
    () => true,
    () => false,
  );
  if (works) return { name, status: 'ok', detail: 'may be made by this user' };
  return {
    name,
    status: 'warn',
    detail: 'this user may make none',
    remedy: 'sysctl kernel.unprivileged_userns_clone=1 (only to build the Debian guest)',
  };
}

async function checkKvm(): Promise<HostCheck> {
  const name = 'KVM';
  const proofs = await rememberedProofs();
  const last = proofs.at(-1);
  if (last)
    return {
      name,
      status: last.accelerator === 'kvm' ? 'ok' : 'warn',
      detail: `checked ${last.provenAt ?? ''}: ${last.accelerator}, because ${last.reason}`,
    };
  const unusable = await whyKvmCannotOpen();
  const detail = unusable ?? '/dev/kvm opens; whether a guest runs under it has not been checked yet';
  return {
    name,
    status: 'warn',
    detail,
    remedy: 'it is verified at the first boot of a guest; without KVM everything works, several times slower',
  };
}

async function checkSpace(name: string, path: string, wanted: number, remedy: string): Promise<HostCheck> {
  try {
    const { bavail, bsize } = await statfs(path);
    const free = bavail * bsize;
    const detail = `${(free / GIB).toFixed(1)} GiB free in ${path}`;
    return free >= wanted
      ? { name, status: 'ok', detail }
      : { name, status: 'warn', detail, remedy: `${remedy}; caches are in ${cacheRoot()}` };
  } catch {
    return { name, status: 'warn', detail: `${path} is not there`, remedy };
  }
}

import { execFile } from 'node:child_process';
import { lstat, mkdir, mkdtemp, open, readlink, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { promisify } from 'node:util';
import { QmpilotError } from '../../errors.js';
import { removeDirectory } from '../../util/files/remove-directory.js';
import { requireProgram } from '../../util/files/which.js';
import { rootfsEntries, type RootfsEntry } from './rootfs-files.js';

const run = promisify(execFile);
const SYSTEMD = ['/usr/lib/systemd/systemd', '/lib/systemd/systemd'];
const BASH = ['/usr/bin/bash', '/bin/bash'];

/** A root file system that can be asked for its files and given new ones. */
interface Rootfs {
  has(path: string): Promise<boolean>;
  put(entries: readonly RootfsEntry[]): Promise<void>;
}

/**
 * Makes a root file system with systemd a guest for `direct()`: puts root shells on hvc0 and hvc1, keeps login prompts off the virtio
 * consoles, and logs root in on the serial console. Doing it again changes nothing.
 * @param path a folder with a root file system, or a raw image of an ext4 file system
 * @returns what was put there
 * @throws {USAGE} when it is neither, or has no systemd or no bash
 * @throws {NOT_FOUND} {IO} {TOOL_MISSING}
 */
export async function prepareRootfs(path: string): Promise<readonly RootfsEntry[]> {
  const target = resolve(path);
  const info = await stat(target).catch((cause: unknown) => {
    throw new QmpilotError('NOT_FOUND', `${path} not found`, { cause });
  });
  const rootfs = info.isDirectory() ? folderRootfs(await realpath(target)) : await imageRootfs(target);
  await mustHave(
    rootfs,
    path,
    SYSTEMD,
    'systemd',
    'for another init, start a root bash on /dev/hvc0 at boot: docs/how-to/prepare-a-root-file-system.md',
  );
  await mustHave(rootfs, path, BASH, 'bash', 'install bash: the shell on a virtio console has to be one');
  const entries = await rootfsEntries();
  await rootfs.put(entries);
  return entries;
}

async function mustHave(
  rootfs: Rootfs,
  path: string,
  candidates: readonly string[],
  what: string,
  hint: string,
): Promise<void> {
  for (const candidate of candidates) if (await rootfs.has(candidate)) return;
  throw new QmpilotError('USAGE', `${path} has no ${what}, or is not a root file system`, { hint });
}

function folderRootfs(root: string): Rootfs {
  return {
    has: async (path) =>
      lstat(join(root, path)).then(
        () => true,
        () => false,
      ),
    async put(entries) {
      for (const entry of entries) {
        const to = join(root, entry.path);
        await makeFolder(root, dirname(to));
        if (await isSame(to, entry)) continue;
        await rm(to, { force: true });
        if (entry.link !== undefined) await symlink(entry.link, to);
        else await writeFile(to, entry.content ?? '', { mode: 0o644 });
      }
    },
  };
}

async function isSame(to: string, { link }: RootfsEntry): Promise<boolean> {
  return link !== undefined && (await readlink(to).catch(() => undefined)) === link;
}

/** Symbolic links of the file system must not lead to files of the host. */
async function makeFolder(root: string, folder: string): Promise<void> {
  let at = root;
  for (const part of relative(root, folder).split(sep)) {
    at = join(at, part);
    await mkdir(at, { mode: 0o755 }).catch(() => {});
    const real = await realpath(at).catch(() => '');
    if (!real.startsWith(root + sep))
      throw new QmpilotError('USAGE', `${at} is a link that leads out of ${root}`, {
        hint: 'make it a folder, or a relative link within the root file system',
      });
  }
}

async function imageRootfs(image: string): Promise<Rootfs> {
  await mustBeExt4(image);
  const debugfs = await requireProgram('debugfs', 'on Debian: apt-get install e2fsprogs', ['/usr/sbin', '/sbin']);
  const ask = async (command: string) => (await run(debugfs, ['-R', command, image])).stderr;
  const has = async (path: string) => !/File not found/.test(await ask(`stat ${path}`));
  return {
    has,
    async put(entries) {
      const work = await mkdtemp(join(tmpdir(), 'qmpilot-rootfs-'));
      try {
        const commands = await commandsFor(entries, has, work);
        const file = join(work, 'commands');
        await writeFile(file, `${commands.join('\n')}\n`);
        const { stderr } = await run(debugfs, ['-w', '-f', file, image]);
        const errors = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('debugfs '));
        if (errors[0] !== undefined)
          throw new QmpilotError('IO', `${image} cannot be written: ${errors[0]}`, { evidence: { stderr: errors } });
      } finally {
        await removeDirectory(work);
      }
    },
  };
}

async function commandsFor(
  entries: readonly RootfsEntry[],
  has: (path: string) => Promise<boolean>,
  work: string,
): Promise<string[]> {
  const commands: string[] = [];
  const folders = new Set<string>();
  for (const folder of entries.flatMap(({ path }) => foldersOf(path))) {
    if (folders.has(folder)) continue;
    folders.add(folder);
    if (!(await has(folder))) commands.push(`mkdir ${folder}`);
  }
  for (const [index, { path, content, link }] of entries.entries()) {
    if (await has(path)) commands.push(`rm ${path}`);
    const name = path.slice(path.lastIndexOf('/') + 1);
    commands.push(`cd ${dirname(path)}`);
    if (link !== undefined) commands.push(`symlink ${name} ${link}`);
    else {
      const file = join(work, `file-${index}`);
      await writeFile(file, content ?? '');
      commands.push(`write ${file} ${name}`, `set_inode_field ${path} mode 0100644`);
    }
  }
  return commands;
}

/** `/etc`, `/etc/systemd`, ... of a file. */
function foldersOf(path: string): string[] {
  const parts = path.split('/').slice(1, -1);
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`);
}

async function mustBeExt4(image: string): Promise<void> {
  await using file = await open(image);
  const { buffer } = await file.read(Buffer.alloc(2048), 0, 2048, 0);
  // The magic number of ext2, ext3 and ext4 in the superblock; a partition table ends its block with 55 aa.
  if (buffer.readUInt16LE(1024 + 56) === 0xef53) return;
  const what =
    buffer.toString('latin1', 0, 4) === 'QFI\xfb'
      ? 'a qcow2 image'
      : buffer.readUInt16LE(510) === 0xaa55
        ? 'an image of a disk with partitions'
        : 'neither a folder nor an ext4 file system';
  throw new QmpilotError('USAGE', `${image} is ${what}`, {
    hint: 'expected a folder, or a raw image of one ext4 file system: qemu-img convert -O raw makes a raw image of another format',
  });
}

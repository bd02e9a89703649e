import { execFile } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fetchPackages, lockedPackages, type PackedPackage } from './npm-packages.js';
import { guestFolder, NODE, NPM } from './recipe.js';

const run = promisify(execFile);

/** Puts together everything of ours that goes into the image's tree; gives the tar archive of it. */
export async function stageOverlay(work: string, signal: AbortSignal | undefined): Promise<string> {
  const guest = guestFolder();
  const tree = join(work, 'tree');
  const build = join(tree, 'qmpilot-build');
  await mkdir(build, { recursive: true });
  await cp(join(guest, 'rootfs'), tree, { recursive: true });
  for (const part of ['initrd', 'build'])
    await cp(join(guest, part), part === 'build' ? build : join(build, part), { recursive: true });
  const project = join(guest, 'npm-project');
  await cp(project, join(tree, 'root', 'project'), { recursive: true });

  const locked = await lockedPackages(join(project, 'package-lock.json'));
  const [node, npm, ...packages] = await fetchPackages([NODE, NPM, ...locked], join(work, 'npm'), signal);
  if (node && npm) await unpackNode(node, npm, join(tree, 'usr', 'local'), signal);
  await fillNpmCache(packages, join(tree, 'root', '.npm'));

  const archive = join(work, 'overlay.tar');
  await run('tar', ['--owner=0', '--group=0', '--mode=u=rwX,go=rX', '--sort=name', '-cf', archive, '-C', tree, '.'], {
    signal,
  });
  return archive;
}

async function unpackNode(
  node: PackedPackage,
  npm: PackedPackage,
  local: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const home = join(local, 'lib', 'node_modules', 'npm');
  await mkdir(join(local, 'bin'), { recursive: true });
  await mkdir(home, { recursive: true });
  await run('tar', ['-xzf', node.file, '-C', local, '--strip-components=1', 'package/bin/node'], { signal });
  await run('tar', ['-xzf', npm.file, '-C', home, '--strip-components=1'], { signal });
}

/** npm finds a locked package in its cache by the digest alone (cacache content-v2): no registry's name is in it. */
async function fillNpmCache(packages: readonly PackedPackage[], cache: string): Promise<void> {
  for (const { integrity, bytes } of packages) {
    const digest = Buffer.from(integrity.replace(/^sha512-/, ''), 'base64').toString('hex');
    const directory = join(cache, '_cacache', 'content-v2', 'sha512', digest.slice(0, 2), digest.slice(2, 4));
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, digest.slice(4)), bytes);
  }
}

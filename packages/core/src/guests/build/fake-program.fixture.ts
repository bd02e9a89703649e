import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { which } from '../../util/files/which.js';

/**
 * A folder for PATH with shell scripts that stand for programs, and of the host's own programs only those named: faults of
 * mmdebstrap and npm cannot be made with the real ones.
 */
export async function programFolder(
  parent: string,
  scripts: Readonly<Record<string, string>>,
  fromHost: readonly string[] = [],
): Promise<string> {
  const folder = join(parent, 'bin');
  await mkdir(folder);
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(folder, name), 0o755);
  }
  for (const name of fromHost) {
    const path = await which(name);
    if (path) await symlink(path, join(folder, name));
  }
  return folder;
}

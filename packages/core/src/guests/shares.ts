import { realpath, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { QmpilotError } from '../errors.js';
import type { SharedFolder } from '../qemu/command-line/machine-spec.js';

interface Share {
  readonly host: string;
  readonly guest: string;
  readonly writable?: boolean;
}

/**
 * Checks the folders of the host that a guest shares, and gives each its mount tag.
 * @throws {USAGE} for one that is no folder, and for two at the same place of the guest
 */
export async function sharedFolders(shares: readonly Share[]): Promise<readonly SharedFolder[]> {
  const twice = shares.find(({ guest }, index) => shares.findIndex((other) => other.guest === guest) !== index);
  if (twice)
    throw new QmpilotError('USAGE', `share: two folders of the host have the same path ${twice.guest} in the guest`);
  return Promise.all(
    shares.map(async ({ host, guest, writable = false }, index) => {
      const path = resolve(host);
      if (!(await stat(path).catch(() => undefined))?.isDirectory())
        throw new QmpilotError('USAGE', `share: ${path} is not a folder`, {
          hint: 'paths of the host are relative to the current directory',
        });
      return { tag: `qmpilotshare${index}`, host: await realpath(path), guest, writable };
    }),
  );
}

// What would be published, as tarballs.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, ROOT } from '../../scripts/host.mjs';

const { packageManager } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

export const PACKAGES = ['core', 'cli'].map((name) => {
  const folder = join(ROOT, 'packages', name);
  return { folder, manifest: JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) };
});

/** Packs each package into `destination`; what comes back has the tarball's path beside folder and manifest. */
export function pack(destination) {
  return PACKAGES.map(({ folder, manifest }) => {
    mustRun('npx', ['--yes', packageManager, '--silent', '--dir', folder, 'pack', '--pack-destination', destination], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const name = manifest.name.replace('@', '').replace('/', '-');
    return { folder, manifest, tarball: join(destination, `${name}-${manifest.version}.tgz`) };
  });
}

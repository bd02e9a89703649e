import { lstatSync } from 'node:fs';

/**
 * To be called before `import()` of a package. Node.js 20 resolves symbolic links by a cache and by the result of its last `lstat`, and stops
 * where that was a socket, such as one that was just removed. The package is then loaded by the path of its link, as pnpm creates them, and
 * does not find its dependencies.
 */
export function forgetLastStat(): void {
  lstatSync('/');
}

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { QmpilotError } from '../../errors.js';

/** Returns the package folder of @qmpilot/core, for the sources as well as for the built library. */
export function packageFolder(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); at !== dirname(at); at = dirname(at)) {
    const manifest = join(at, 'package.json');
    if (existsSync(manifest) && isCore(readFileSync(manifest, 'utf8'))) return at;
  }
  throw new QmpilotError('INTERNAL', 'cannot find the package folder of @qmpilot/core', {
    hint: 'reinstall @qmpilot/core',
  });
}

function isCore(text: string): boolean {
  const manifest: unknown = JSON.parse(text);
  return typeof manifest === 'object' && manifest !== null && 'name' in manifest && manifest.name === '@qmpilot/core';
}

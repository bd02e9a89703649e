import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { QmpilotError } from '../errors.js';

/** The folder of @qmpilot/core: found from the sources as well as from the built library. */
export function packageFolder(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); at !== dirname(at); at = dirname(at)) {
    const manifest = join(at, 'package.json');
    if (existsSync(manifest) && isCore(readFileSync(manifest, 'utf8'))) return at;
  }
  throw new QmpilotError('USAGE', 'the folder of @qmpilot/core is not there', { hint: 'reinstall @qmpilot/core' });
}

function isCore(text: string): boolean {
  const manifest: unknown = JSON.parse(text);
  return typeof manifest === 'object' && manifest !== null && 'name' in manifest && manifest.name === '@qmpilot/core';
}

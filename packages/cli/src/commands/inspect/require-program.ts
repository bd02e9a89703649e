import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { QmpilotError } from '@qmpilot/core';

const PACKAGES = { gdb: 'gdb', crash: 'crash', drgn: 'python3-drgn' } as const;

/** @throws {TOOL_MISSING} with the package to install */
export async function requireProgram(name: keyof typeof PACKAGES): Promise<string> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter).filter(Boolean)) {
    const path = join(folder, name);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  throw new QmpilotError('TOOL_MISSING', `${name} not found on PATH`, {
    hint: `on Debian: apt-get install ${PACKAGES[name]}`,
  });
}

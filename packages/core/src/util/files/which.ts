import { access, constants } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { QmpilotError } from '../../errors.js';

/** Returns the absolute path of a program on PATH, or undefined. */
export async function which(name: string, path = process.env['PATH'] ?? ''): Promise<string | undefined> {
  const candidates = isAbsolute(name)
    ? [name]
    : path
        .split(delimiter)
        .filter(Boolean)
        .map((dir) => join(dir, name));
  for (const candidate of candidates) {
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/**
 * Returns the absolute path of a program on PATH, or in one of further folders.
 * @throws {TOOL_MISSING}
 */
export async function requireProgram(name: string, hint: string, alsoIn: readonly string[] = []): Promise<string> {
  const path = (await which(name)) ?? (await which(name, alsoIn.join(delimiter)));
  if (path === undefined) throw new QmpilotError('TOOL_MISSING', `${name} not found on PATH`, { hint });
  return path;
}

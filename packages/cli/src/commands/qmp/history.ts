import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { stateRoot } from '@qmpilot/core/internal';

export const HISTORY_SIZE = 1000;

/** `qmp-history` in the state folder. */
export function historyPath(): string {
  return join(stateRoot(), 'qmp-history');
}

/** Reads the history, newest line first as node:readline expects it; empty when there is none. */
export async function readHistory(path: string): Promise<string[]> {
  try {
    return (await readFile(path, 'utf8'))
      .split('\n')
      .filter((line) => line !== '')
      .toReversed()
      .slice(0, HISTORY_SIZE);
  } catch {
    return [];
  }
}

/** Writes the history with mode 0600, as arguments can contain passwords. A failure is ignored. */
export async function writeHistory(path: string, newestFirst: readonly string[]): Promise<void> {
  const text = newestFirst
    .slice(0, HISTORY_SIZE)
    .toReversed()
    .map((line) => `${line}\n`)
    .join('');
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, text, { mode: 0o600 });
  } catch {
    // The history is a convenience.
  }
}

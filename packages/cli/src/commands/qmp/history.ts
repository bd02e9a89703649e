import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

export const HISTORY_SIZE = 1000;

/** `$XDG_STATE_HOME/qmpilot/qmp-history`, else below `~/.local/state`. */
export function historyPath(env: NodeJS.ProcessEnv = process.env): string {
  const state = env['XDG_STATE_HOME'];
  return join(
    state !== undefined && isAbsolute(state) ? state : join(homedir(), '.local', 'state'),
    'qmpilot',
    'qmp-history',
  );
}

/** Newest first, as node:readline wants it; empty where there is none. */
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

/** A history that cannot be kept is no error: arguments may hold passwords, so it is the user's alone (0600). */
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
    // Said above.
  }
}

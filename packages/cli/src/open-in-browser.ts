import { spawn } from 'node:child_process';

/** Programs that open a file as the desktop does, tried after $BROWSER. */
const OPENERS = ['xdg-open', 'open', 'wslview'];

/** What became of the request to open a file; a program that was started keeps running on its own. */
interface Opened {
  /** The program that was started; undefined when there is none. */
  readonly by?: string | undefined;
  /** Why $BROWSER could not be started. */
  readonly failure?: string | undefined;
}

export async function openInBrowser(path: string): Promise<Opened> {
  const own = process.env['BROWSER'] ?? '';
  const failure = own === '' ? undefined : await start(own, path);
  if (own !== '' && failure === undefined) return { by: own };
  for (const by of OPENERS) if ((await start(by, path)) === undefined) return { by, failure };
  return { failure };
}

/** @returns why the program could not be started */
function start(program: string, path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(program, [path], { stdio: 'ignore', detached: true });
    child.once('error', (error) => resolve(error.message));
    child.once('spawn', () => {
      child.unref();
      resolve(undefined);
    });
  });
}

import { spawn } from 'node:child_process';

/** Programs that open a file as the desktop does, tried after $BROWSER. */
const OPENERS = ['xdg-open', 'open', 'wslview'];

/** @returns whether a program was started; it keeps running on its own */
export async function openInBrowser(path: string): Promise<boolean> {
  const own = process.env['BROWSER'];
  for (const program of [...(own === undefined || own === '' ? [] : [own]), ...OPENERS]) {
    if (await started(program, path)) return true;
  }
  return false;
}

function started(program: string, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(program, [path], { stdio: 'ignore', detached: true });
    child.once('error', () => resolve(false));
    child.once('spawn', () => {
      child.unref();
      resolve(true);
    });
  });
}

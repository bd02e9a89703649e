/** Draws docs/images/*.svg from recorded terminal output, by the screen renderer of the library. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Screen } from '../../packages/core/src/console/screen/screen.js';

const COLUMNS = 118;
const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

const text = readFileSync(path('demo.txt'), 'utf8').trimEnd();
const rows = text.split('\n').reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / COLUMNS)), 0);
const screen = new Screen({ columns: COLUMNS, rows });
screen.feed(Buffer.from(colored(text).replaceAll('\n', '\r\n')));
await screen.drawn();
const target = path('../../docs/images/demo.svg');
mkdirSync(dirname(target), { recursive: true });
writeFileSync(target, `${screen.toSvg({ cursor: false })}\n`);

/** The colors that `qmpilot repro` uses on a terminal. */
function colored(output: string): string {
  return output
    .replace(/^ *error: .*$/gm, '\u001b[31m$&\u001b[0m')
    .replace(/^ *=> reproduced.*$/gm, '\u001b[1;31m$&\u001b[0m')
    .replace(/^ *=> clean.*$/gm, '\u001b[32m$&\u001b[0m');
}

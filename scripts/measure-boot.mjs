import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run as runProgram } from './host.mjs';

/** In a process of its own: what it imports has to be built first. */
const SCRIPT = `
import { writeFileSync } from 'node:fs';
import { boot, debian } from './packages/core/dist/index.js';
const said = [];
const onProgress = (line) => said.push(line) && console.error(line);
const bootedIn = () => /booted in ([\\d.]+) s/.exec(said.join('\\n'))?.[1];
await (await boot(debian(), { cache: true, onProgress })).close();
// The boot cache had it already.
if (bootedIn() === undefined) await (await boot(debian(), { cache: false, onProgress })).close();
writeFileSync(process.argv[1], bootedIn());
`;

/** Milliseconds that a cold boot of the Debian guest takes here and now; undefined when it does not boot. Fills the boot cache. */
export function measureColdBoot() {
  const folder = mkdtempSync(join(tmpdir(), 'qmpilot-boot-'));
  const file = join(folder, 'seconds');
  try {
    console.error('\n== cold boot');
    const status = runProgram(process.execPath, ['--input-type=module', '-e', SCRIPT, file]);
    return status === 0 ? Number(readFileSync(file, 'utf8')) * 1000 : undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

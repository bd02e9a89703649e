/**
 * A tool of one's own: runs a script in a fresh guest, shows its output as it comes, brings back what it wrote to /root/out, and ends
 * with its exit code. Ctrl-C ends the guest as well.
 *
 *     custom-script.ts SCRIPT [DIRECTORY FOR THE RESULTS]
 */
import { basename } from 'node:path';
import { boot, debian, isQmpilotError } from '@qmpilot/core';

const [script, results = 'results'] = process.argv.slice(2);
if (script === undefined) {
  console.error('usage: custom-script.ts SCRIPT [DIRECTORY]');
  process.exit(2);
}
const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());
const { signal } = interrupted;

try {
  await using vm = await boot(debian(), { signal });
  const name = `/root/${basename(script)}`;
  await vm.copyIn(script, name, { signal });
  const shell = await vm.openShell({ signal });
  const running = shell.stream(`mkdir -p /root/out; chmod +x ${name}; exec ${name}`, { signal, cwd: '/root' });
  for await (const { from, bytes } of running) process[from].write(bytes);
  process.exitCode = (await running.result).exitCode;
  const { files } = await vm.copyOut('/root/out', results, { signal });
  console.error(`exit code ${process.exitCode}; ${files} files are in ${results}`);
} catch (error) {
  if (!isQmpilotError(error)) throw error;
  console.error(`${error.code}: ${error.message}`, error.hint ?? '');
  process.exitCode = error.code === 'ABORTED' ? 130 : 125;
}

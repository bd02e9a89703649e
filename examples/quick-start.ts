/** Boots a guest, runs a command in it, and has it power off. */
import { boot, debian } from '@qmpilot/core';

await using vm = await boot(debian(), { onProgress: (line) => console.error(line) });
const { stdout, exitCode } = await vm.exec(
  '. /etc/os-release; echo "$PRETTY_NAME, up for $(cut -d" " -f1 /proc/uptime) s"',
);
console.log(stdout.trim(), `(exit code ${exitCode})`);

const { outcome, reason } = await vm.poweroff({ timeout: '1m' });
console.log(`poweroff: ${outcome}: ${reason}`);

/** Where `npm ci` is blocked: under gdb on the serial console, as the bug report did it, and by `vm.stacks`. */
import { boot, debian } from '@qmpilot/core';
import { parseGdbBacktrace } from '@qmpilot/core/detect';

await using vm = await boot(debian());
const { screen } = vm.console;
await vm.console.resize(100, 40);

await vm.console.type('cd /root/project; gdb -q --args node $(which npm) ci\n');
await screen.waitFor(/\(gdb\) *$/, { timeout: '2m' });
await vm.console.type('set pagination off\nset confirm off\nset debuginfod enabled off\nrun\n');
// Its own threads tell that the event loop has begun.
await screen.waitFor(/New Thread/, { timeout: '2m' });
await vm.console.press('C-c');
await screen.waitFor(/received signal SIGINT[^]*\(gdb\) *$/, { timeout: '2m' });
// Any thread may have got the signal; the first one is the one that runs JavaScript.
await vm.console.type('thread 1\nwhere\n');
await screen.waitFor(/_start[^]*\(gdb\) *$/, { timeout: '1m' });
for (const frame of parseGdbBacktrace(screen.toText())) console.log(`#${frame.level} ${frame.function}`);
await vm.console.type('kill\nquit\n');

await vm.expectOk('systemd-run --unit busy node -e "setInterval(() => {}, 1000)"');
const pid = Number((await vm.expectOk('systemctl show -P MainPID busy')).stdout);
const stacks = await vm.stacks(pid);
for (const { comm, state, kernel, user } of stacks.threads) {
  console.log(
    `${comm} (${state}): kernel ${kernel[0]?.function ?? '-'}, user ${user?.[0]?.function ?? stacks.userUnavailable}`,
  );
}

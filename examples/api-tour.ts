import { boot, debian } from '@qmpilot/core';
import { formatShutdown } from '@qmpilot/core/detect';

// Builds the image on first use; uses KVM if it boots the guest's kernel.
await using vm = await boot(debian(), { onProgress: (line) => console.error(line) });

// Commands run in a console shell: exit code and output, also while the kernel prints on the console.
const { exitCode, stdout } = await vm.exec('uname -r; exit 3');
console.log(`kernel ${stdout.trim()}, exit code ${exitCode}`);

// Keystrokes on the serial console, where root is logged in.
await vm.console.type('echo "$((6 * 7)) is the answer"\n');
console.log((await vm.console.expect(/\d+ is the answer/)).text);

// RAM, devices and disks at this moment; restored in 0.1 to 0.3 s, as often as needed.
await vm.exec('echo before > /root/state');
await vm.snapshot('ready');
await vm.exec('echo after > /root/state');
await vm.restore('ready');
console.log('state:', (await vm.exec('cat /root/state')).stdout.trim());

// Independent VMs from the same moment share its memory until they write to it.
const fork = await vm.fork('ready');
await fork.exec('rm /root/state');
await fork.close();

// Detectors: the kernel's reports, and threads in uninterruptible sleep. Here a crash, by SysRq.
const watch = vm.watch({ dState: { for: '5s' } });
void vm.exec('echo c > /proc/sysrq-trigger').catch(() => {});
console.log('found:', (await watch.first({ timeout: '1m' })).title);
await vm.restore('ready');

console.log(formatShutdown(await vm.poweroff({ timeout: '1m' })));

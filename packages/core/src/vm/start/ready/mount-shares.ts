import { QmpilotError } from '../../../errors.js';
import type { SharedFolder } from '../../../qemu/command-line/machine-spec.js';
import { bashWord } from '../../../shell/quote.js';
import type { WaitOptions } from '../../../util/async/deadline.js';
import type { Vm } from '../../vm.js';

/**
 * Mounts the shared folders in a guest that has booted. They get their lines in /etc/fstab, by which a reboot mounts them, and
 * `mount PATH` does after an `umount`.
 * @throws {COMMAND_FAILED} when the guest cannot mount one
 */
export async function mountShares(vm: Vm, shares: readonly SharedFolder[], wait: WaitOptions): Promise<void> {
  for (const share of shares) {
    const { exitCode, stdout, stderr } = await vm.exec(mountCommand(share), wait);
    if (exitCode === 0) continue;
    throw new QmpilotError(
      'COMMAND_FAILED',
      `the guest cannot mount ${share.host} of the host at ${share.guest}: ${`${stderr}${stdout}`.trim().split('\n').at(-1) ?? ''}`,
      { hint: 'its kernel needs CONFIG_9P_FS and CONFIG_NET_9P_VIRTIO' },
    );
  }
}

function mountCommand({ tag, guest, writable }: SharedFolder): string {
  const options = `trans=virtio,version=9p2000.L,${writable ? 'rw' : 'ro'},nofail`;
  const line = `${tag} ${fstabWord(guest)} 9p ${options} 0 0`;
  const path = bashWord(guest);
  return [
    `mkdir -p -- ${path}`,
    `{ grep -qs ^${tag}' ' /etc/fstab || echo ${bashWord(line)} >> /etc/fstab; }`,
    `{ mountpoint -q -- ${path} || mount -- ${path}; }`,
  ].join(' && ');
}

/** fstab(5): spaces and backslashes are octal. */
function fstabWord(path: string): string {
  return path.replaceAll('\\', String.raw`\134`).replaceAll(' ', String.raw`\040`);
}

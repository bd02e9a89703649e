import * as v from 'valibot';
import { QmpilotError } from '../../errors.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import { WAIT } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import { tailLines } from '../exec-result.js';
import { forwardPort, type SshGuest } from './forward.js';
import { GUEST_PORT, setUpScript } from './guest-script.js';
import { loadSsh2 } from './load-ssh2.js';
import { SshShell, type SshTarget } from './ssh-shell.js';

export type { SshGuest } from './forward.js';
export { SshShell, type SshTarget } from './ssh-shell.js';

export interface OpenSshOptions extends WaitOptions {
  /** User of the guest; default root. */
  readonly user?: string | undefined;
}

const OPEN_SSH_OPTIONS = v.strictObject({
  ...WAIT,
  user: v.optional(v.pipe(v.string(), v.nonEmpty('expected the name of a user'))),
} satisfies Record<keyof OpenSshOptions, v.GenericSchema>);

/**
 * Opens a shell over SSH into a guest with `network: 'user'`. Needs the package ssh2. The key is made here, stays in this process's
 * memory, and is installed by `vm.exec`, which also reads the host key that is pinned; the daemon (dropbear or sshd of the guest) is
 * started on a port of its own. QEMU chooses the port of the host, on loopback. After a restore the next command repeats all that.
 * @throws {TOOL_MISSING} when ssh2 is not installed
 * @throws {USAGE} for invalid options, and when the guest has no network, no daemon or no such user
 * @throws {SHELL_LOST} {TIMEOUT} {ABORTED}
 */
export async function openSsh(vm: SshGuest, options: OpenSshOptions = {}): Promise<SshShell> {
  validate(OPEN_SSH_OPTIONS, options, 'openSsh: options');
  const user = options.user ?? 'root';
  const { utils } = await loadSsh2();
  const key = utils.generateKeyPairSync('ed25519', { comment: `qmpilot-${vm.name}` });
  const target = async (wait: WaitOptions): Promise<SshTarget> => {
    const port = await forwardPort(vm, GUEST_PORT, wait);
    const result = await vm.exec(setUpScript(user, key.public), { timeout: 60_000, ...wait });
    const hostKey = result.stdout.split('\n').find((line) => line.startsWith('ssh-'));
    if (result.exitCode !== 0 || hostKey === undefined) {
      throw new QmpilotError(
        'USAGE',
        `no SSH daemon could be started in the guest: ${tailLines(result.stderrBytes).join(' ') || `exit code ${result.exitCode}`}`,
        {
          hint: 'the guest needs dropbear or openssh-server',
        },
      );
    }
    return { host: '127.0.0.1', port, user, privateKey: key.private, hostKey };
  };
  const shell = new SshShell(target, `shell over ssh on ${vm.name}`);
  try {
    await shell.ready(options);
    return shell;
  } catch (error) {
    shell.close();
    throw error;
  }
}

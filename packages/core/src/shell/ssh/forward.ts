import { QmpilotError } from '../../errors.js';
import { parseUsernet } from '../../qmp/usernet.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import type { ExecOptions } from '../exec-options.js';
import type { ExecResult } from '../exec-result.js';

/** What SSH needs of a `Vm`. */
export interface SshGuest {
  /** How messages call it. */
  readonly name: string;
  /** Its session with QEMU, which forwards the port. */
  readonly qmp: {
    /** As of `QmpClient`. */
    executeUntyped<T>(command: string, args?: object, options?: WaitOptions): Promise<T>;
  };
  /** Runs a command as root, to put the key in its place. */
  exec(command: string, options?: ExecOptions): Promise<ExecResult>;
}

/** Returns a loopback port of the host, chosen by QEMU, that is forwarded to `port` of the guest; an existing one is used again. */
export async function forwardPort(vm: SshGuest, port: number, options: WaitOptions): Promise<number> {
  const monitor = (line: string) =>
    vm.qmp.executeUntyped<string>('human-monitor-command', { 'command-line': line }, options);
  const known = findForward(await monitor('info usernet'), port);
  if (known !== undefined) return known;
  const said = (await monitor(`hostfwd_add net0 tcp:127.0.0.1:0-:${port}`)).trim();
  if (said) {
    throw new QmpilotError('USAGE', `no port of the host could be forwarded into the guest: ${said}`, {
      hint: "the guest needs a network: network: 'user' in its description",
    });
  }
  const made = findForward(await monitor('info usernet'), port);
  if (made !== undefined) return made;
  throw new QmpilotError('QMP_COMMAND', 'QEMU does not say which port it forwards', {
    hint: "see 'info usernet' on its monitor",
  });
}

function findForward(usernet: string, port: number): number | undefined {
  return parseUsernet(usernet).find(({ host, guestPort }) => host === '127.0.0.1' && guestPort === port)?.hostPort;
}

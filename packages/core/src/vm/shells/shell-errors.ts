import { QmpilotError } from '../../errors.js';
import type { ShellKind } from '../../shell/exec-result.js';

/** The error when every shell of a guest was tried and did not answer. */
export function allLost(guest: string, failures: readonly QmpilotError[]): QmpilotError {
  const [first] = failures;
  const messages = failures.map(({ message }) => message).join('; ');
  return new QmpilotError('SHELL_LOST', `no shell of the guest ${guest} answers: ${messages}`, {
    cause: first,
    evidence: first?.evidence ?? {},
    ...(first?.hint && { hint: first.hint }),
  });
}

/** The error when the console of the guest's shell runs a command that was started in another VM, and no other console is left. */
export function consoleReserved(): QmpilotError {
  return new QmpilotError('SHELL_LOST', 'a command that ran when the snapshot was taken has the console', {
    hint: 'take the snapshot when no command runs, or give the guest spare consoles or a guest agent',
  });
}

/** The error when a VM is closed while a command waits for a console. */
export function consolesClosed(): QmpilotError {
  return new QmpilotError('CLOSED', 'the VM was closed while all consoles were busy');
}

/** The error when a guest has no shell, or none of this kind. */
export function noShell(guest: string, via?: ShellKind): QmpilotError {
  const which = via === undefined ? 'no shell that commands could run in' : `no shell of the kind ${via}`;
  return new QmpilotError('USAGE', `the guest ${guest} has ${which}`, {
    hint: 'start a bash on /dev/hvc0 in the guest and name hvc0 as `shell` in its description, or give it a guest agent or a login; vm.console works without',
  });
}

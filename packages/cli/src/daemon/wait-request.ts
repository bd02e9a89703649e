import type { Vm, Wait } from '@qmpilot/core';

/** A condition of `qmpilot wait`. */
export interface WaitRequest {
  readonly kind: 'unit' | 'port' | 'file' | 'gone' | 'text' | 'command';
  readonly value: string;
}

/** Most characters of a command's output in the message of a timeout. */
const SHOWN_OUTPUT = 200;
const COMMAND_TIMEOUT = '20s';

/** Waits for a condition in the guest. */
export async function awaitCondition(
  vm: Vm,
  { kind, value }: WaitRequest,
  options: { readonly signal: AbortSignal; readonly timeout?: number | undefined },
): Promise<void> {
  switch (kind) {
    case 'unit':
      return vm.waitForUnit(value, options);
    case 'port':
      return vm.waitForPort(Number(value), options);
    case 'file':
      return vm.waitForFile(value, options);
    case 'gone':
      return vm.waitForFile(value, { ...options, gone: true });
    case 'text':
      return void (await vm.waitForText(value, options));
    case 'command':
      return vm.waitFor(successOf(value), options);
  }
}

function successOf(command: string): Wait<void> {
  return {
    awaited: `\`${command}\` to succeed`,
    probe: async ({ probeShell }, signal) => {
      const { exitCode, stdout, stderr } = await probeShell().exec(command, { signal, timeout: COMMAND_TIMEOUT });
      if (exitCode === 0) return { met: true, value: undefined };
      return { met: false, saw: `exit code ${exitCode}: ${`${stdout}${stderr}`.trim().slice(-SHOWN_OUTPUT)}` };
    },
  };
}

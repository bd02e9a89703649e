import type { Vm } from '@qmpilot/core';

/** A condition of `qmpilot wait`. */
export interface WaitRequest {
  readonly kind: 'unit' | 'port' | 'closed' | 'socket' | 'file' | 'gone' | 'text' | 'command' | 'fails';
  readonly value: string;
}

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
    case 'closed':
      return vm.waitForPort(Number(value), { ...options, closed: true });
    case 'socket':
      return vm.waitForSocket(value, options);
    case 'file':
      return vm.waitForFile(value, options);
    case 'gone':
      return vm.waitForFile(value, { ...options, gone: true });
    case 'text':
      return void (await vm.waitForText(value, options));
    case 'command':
      return void (await vm.waitForCommand(value, options));
    case 'fails':
      return void (await vm.waitForCommand(value, { ...options, fails: true }));
  }
}

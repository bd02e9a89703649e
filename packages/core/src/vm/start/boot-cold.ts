import type { PreparedGuest } from '../../guests/guest.js';
import { monotonicMs } from '../../util/time/clock.js';
import type { Vm } from '../vm.js';
import type { BootOptions } from './boot-options.js';
import { startScriptedVm } from './boot-script.js';
import { awaitReady } from './ready/await-ready.js';
import { startOwnVm } from './start-own-vm.js';

/** Boots a guest, from its firmware or kernel on. */
export async function bootCold(guest: PreparedGuest, options: BootOptions): Promise<Vm> {
  const vm = guest.script ? await startScriptedVm(guest, guest.script, options) : await startOwnVm(guest, options);
  try {
    options.onStart?.(vm);
    await runToReady(vm, guest, options);
    return vm;
  } catch (error) {
    await vm.close();
    throw error;
  }
}

/** Runs the guest of a VM that was started, until it is ready. */
export async function runToReady(vm: Vm, guest: PreparedGuest, options: BootOptions): Promise<void> {
  const begun = monotonicMs();
  await vm.qmp.execute('cont', undefined, { signal: options.signal });
  await awaitReady(vm, guest, options);
  options.onProgress?.(`booted in ${((monotonicMs() - begun) / 1000).toFixed(1)} s`);
}

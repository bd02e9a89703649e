import type { Vm } from '../vm/vm.js';

const SHELL_ANSWERS_WITHIN = '2s';
const QUIET_MS = 50;
const MAX_MS = 2000;

/**
 * Waits until what the guest's kernel has printed so far is here. A printk is in QEMU's hands before the guest answers on another
 * device; a report that another CPU is still printing continues without such a pause. Nothing is printed or typed for it. A console that never
 * is silent for 50 ms holds it up for 2 s, a guest that does not answer for 2 s more.
 */
export async function consoleDrained(vm: Vm, signal?: AbortSignal): Promise<void> {
  // A shell that is gone or hangs does not matter: the console is drained when it is silent.
  if (vm.hasShell) await vm.samplingShell.ping({ signal, timeout: SHELL_ANSWERS_WITHIN }).catch(() => {});
  await new Promise<void>((resolve) => {
    let quiet = setTimeout(end, QUIET_MS);
    const most = setTimeout(end, MAX_MS);
    const forget = vm.console.onBytes(() => {
      clearTimeout(quiet);
      quiet = setTimeout(end, QUIET_MS);
    });
    function end(): void {
      clearTimeout(quiet);
      clearTimeout(most);
      forget();
      resolve();
    }
  });
}

import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { WaitOptions } from '../../util/deadline.js';
import type { Vm } from '../vm.js';

/** Prints the list of keys, whatever the guest allows: nothing of the answer before it comes after it. */
const END_KEY = 'h';
/** Sets the level of the console to 8: all that the kernel says is shown. */
const LOUDEST = '8';
/** The kernel's word that it took the key: `sysrq: Show Blocked State`; `SysRq : ...` before Linux 5. */
const HEADER = /sysrq ?: (?!HELP)(\S[^\n]*)\n/i;
const END = /sysrq ?: HELP :/i;

/**
 * SysRq as a person has it: Alt+SysRq and the key on the graphical console's keyboard, or a break and the key on the serial line. No
 * shell is needed. That the kernel obeyed is seen on the serial console.
 */
export async function sysRqByKeys(
  vm: Vm,
  key: string,
  via: 'keyboard' | 'serial',
  options: WaitOptions,
): Promise<string[]> {
  const wait = { timeout: '30s', ...options };
  const press = async (name: string) => {
    if (via === 'keyboard') return vm.keyboard.chord(['alt', 'sysrq', name], options);
    await vm.qmp.executeUntyped('chardev-send-break', { id: 'ttyS0' }, options);
    await vm.console.send(Buffer.from(name), options);
  };
  const from = vm.console.position;
  try {
    await press(key);
    // A keyboard holds 16 bytes: the next keys follow when these were read.
    const header = await vm.console.expect(HEADER, { ...wait, from, consume: false });
    await press(END_KEY);
    const end = await vm.console.expect(END, { ...wait, from: header.end, consume: false });
    const said = header.groups[0] ?? '';
    if (/operation is disabled/.test(said)) {
      throw new QmpilotError('COMMAND_FAILED', `the kernel refused SysRq ${key} over the ${via}: ${said.trim()}`, {
        hint: 'boot it with sysrq_always_enabled=1, or set kernel.sysrq=1 in it',
      });
    }
    const text = vm.console.textBetween(header.position, end.position);
    return text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .slice(0, -1);
  } catch (error) {
    if (!isQmpilotError(error, 'TIMEOUT')) throw error;
    throw new QmpilotError('TIMEOUT', `the kernel did not take SysRq ${key} over the ${via}: ${error.message}`, {
      cause: error,
      evidence: { console: vm.console.lastLines(20) },
      hint:
        via === 'serial'
          ? 'it needs CONFIG_MAGIC_SYSRQ_SERIAL, and console=ttyS0'
          : 'it needs CONFIG_MAGIC_SYSRQ, a driver of the PS/2 keyboard, and console=ttyS0 to show the answer',
    });
  }
}

/**
 * For a guest that no shell answers in: by the keyboard, or where nothing takes its keys by a break on the serial line. The console's
 * level is raised to 8 before, and stays there: nobody can tell what it was.
 */
export async function sysRqByAnyKeys(vm: Vm, key: string, options: WaitOptions): Promise<string[]> {
  try {
    await sysRqByKeys(vm, LOUDEST, 'keyboard', { timeout: '5s', ...options });
  } catch (error) {
    if (!isQmpilotError(error, 'TIMEOUT')) throw error;
    await sysRqByKeys(vm, LOUDEST, 'serial', options);
    return sysRqByKeys(vm, key, 'serial', options);
  }
  return sysRqByKeys(vm, key, 'keyboard', options);
}

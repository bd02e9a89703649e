import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import type { VmContext } from '../context.js';

/** Prints the list of keys even where all others are disabled: it marks the end of the answer. */
const END_KEY = 'h';
/** Sets the console's log level to 8, so that everything is printed. */
const LOUDEST = '8';
/**
 * The kernel's confirmation of a key: `sysrq: Show Blocked State`; `SysRq : ...` before Linux 5. Of limited length: a guest may
 * print many beginnings on a line that never ends.
 */
const HEADER = /sysrq ?: (?!HELP)(\S[^\n]{0,200})\n/i;
const END = /sysrq ?: HELP :/i;

/**
 * Sends a SysRq key without a shell: Alt+SysRq and the key on the graphical console's keyboard, or a break and the key on the
 * serial line. The kernel's answer is read from the serial console.
 */
export async function sysRqByKeys(
  { keyboard, console, machine }: VmContext,
  key: string,
  via: 'keyboard' | 'serial',
  options: WaitOptions,
): Promise<string[]> {
  const wait = { patience: '30s', ...options };
  const press = async (name: string) => {
    if (via === 'keyboard') return keyboard.chord(['alt', 'sysrq', name], options);
    await machine.qmp.executeUntyped('chardev-send-break', { id: 'ttyS0' }, options);
    await console.send(Buffer.from(name), options);
  };
  const from = console.position;
  try {
    await press(key);
    // QEMU's keyboard queue holds 16 bytes: send the next keys when these were read.
    const header = await console.expect(HEADER, { ...wait, from, consume: false });
    await press(END_KEY);
    const end = await console.expect(END, { ...wait, from: header.end, consume: false });
    const said = header.groups[0] ?? '';
    if (/operation is disabled/.test(said)) {
      throw new QmpilotError('COMMAND_FAILED', `the kernel refused SysRq ${key} over the ${via}: ${said.trim()}`, {
        hint: 'boot it with sysrq_always_enabled=1, or set kernel.sysrq=1 in it',
      });
    }
    const text = console.textBetween(header.position, end.position);
    return text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .slice(0, -1);
  } catch (error) {
    if (!isQmpilotError(error, 'TIMEOUT')) throw error;
    throw new QmpilotError('TIMEOUT', `the kernel did not take SysRq ${key} over the ${via}: ${error.message}`, {
      cause: error,
      evidence: { console: console.lastLines(20) },
      hint:
        via === 'serial'
          ? 'it needs CONFIG_MAGIC_SYSRQ_SERIAL, and console=ttyS0'
          : 'it needs CONFIG_MAGIC_SYSRQ, a driver of the PS/2 keyboard, and console=ttyS0 to show the answer',
    });
  }
}

/**
 * Sends a SysRq key to a guest without a shell that answers: by the keyboard, or where the guest does not read it, by a break
 * on the serial line. This raises the console's log level to 8 for good, as there is no way to read the previous level.
 */
export async function sysRqByAnyKeys(context: VmContext, key: string, options: WaitOptions): Promise<string[]> {
  try {
    await sysRqByKeys(context, LOUDEST, 'keyboard', { patience: '5s', ...options });
  } catch (error) {
    if (!isQmpilotError(error, 'TIMEOUT')) throw error;
    await sysRqByKeys(context, LOUDEST, 'serial', options);
    return sysRqByKeys(context, key, 'serial', options);
  }
  return sysRqByKeys(context, key, 'keyboard', options);
}

import { randomBytes } from 'node:crypto';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { OutOfBandShell } from '../../shell/console-shell/console-shell.js';
import type { WaitOptions } from '../../util/deadline.js';
import type { Vm } from '../vm.js';
import { sysRqByAnyKeys, sysRqByKeys } from './sysrq-keys.js';

export interface SysrqOptions extends WaitOptions {
  /**
   * `shell` writes to /proc/sysrq-trigger; `keyboard` presses Alt+SysRq, `serial` sends a break, for a guest that answers no more. By
   * default the shell where it answers, else the keyboard.
   */
  readonly via?: 'shell' | 'keyboard' | 'serial' | undefined;
}

/** SysRq keys that print something and leave the system as it is: Documentation/admin-guide/sysrq.rst. */
const PRINTING = 'lmpqtwdz';
const SHELL_ANSWERS_WITHIN = '5s';

export async function sysRq(vm: Vm, key: string, { via, ...options }: SysrqOptions): Promise<string[]> {
  if (key.length !== 1 || !PRINTING.includes(key)) {
    throw new QmpilotError('USAGE', `sysrq: ${JSON.stringify(key)} is not a SysRq key that only prints`, {
      hint: `one of ${[...PRINTING].join(' ')}; for others write to /proc/sysrq-trigger yourself`,
    });
  }
  if (via === 'keyboard' || via === 'serial') return sysRqByKeys(vm, key, via, options);
  const shell = vm.samplingShell ?? (via === 'shell' ? vm.shell : undefined);
  if (shell && (via === 'shell' || (await answers(shell, options)))) return byShell(vm, shell, key, options);
  return sysRqByAnyKeys(vm, key, options);
}

async function answers(shell: OutOfBandShell, { signal }: WaitOptions): Promise<boolean> {
  return shell.ping({ signal, timeout: SHELL_ANSWERS_WITHIN }).then(
    () => true,
    (error: unknown) => {
      if (isQmpilotError(error, 'ABORTED')) throw error;
      return false;
    },
  );
}

/**
 * Behind two marks in the kernel's own log: what stands between them is the answer. Writing 9 to the trigger first would
 * not do: the level of the console stays as it was set.
 */
async function byShell(vm: Vm, shell: OutOfBandShell, key: string, options: WaitOptions): Promise<string[]> {
  const id = randomBytes(6).toString('hex');
  const from = vm.console.position;
  const wait = { timeout: '30s', ...options };
  const level = `l=$(cat /proc/sys/kernel/printk); echo 8 > /proc/sys/kernel/printk`;
  const script = `${level}; echo "<0>qmpilot-${id}-begin" > /dev/kmsg; echo ${key} > /proc/sysrq-trigger; echo "<0>qmpilot-${id}-end" > /dev/kmsg; echo "$l" > /proc/sys/kernel/printk`;
  // The kernel writes the serial line at its own pace, behind the command's end.
  const end = vm.console.expect(`qmpilot-${id}-end`, { ...wait, from });
  end.catch(() => {});
  await shell.expectOk(script, wait);
  const match = await end;
  const text = vm.console.textBetween(from, match.position);
  const begin = text.indexOf(`qmpilot-${id}-begin`);
  return text
    .slice(begin === -1 ? 0 : text.indexOf('\n', begin) + 1)
    .split('\n')
    .slice(0, -1);
}

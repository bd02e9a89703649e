import { randomBytes } from 'node:crypto';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { ConsoleShell } from '../../shell/console-shell/console-shell.js';
import type { WaitOptions } from '../../util/async/deadline.js';
import type { VmContext } from '../context.js';
import { sysRqByAnyKeys, sysRqByKeys } from './sysrq-keys.js';

export interface SysrqOptions extends WaitOptions {
  /**
   * `shell` writes to /proc/sysrq-trigger; `keyboard` presses Alt+SysRq and `serial` sends a break, for a guest whose shell
   * does not answer. Default: the shell where it answers, else the keyboard.
   */
  readonly via?: 'shell' | 'keyboard' | 'serial' | undefined;
}

/** SysRq keys that only print: Documentation/admin-guide/sysrq.rst. */
const PRINTING = 'lmpqtwdz';
const SHELL_ANSWERS_WITHIN = '5s';

/** Has the kernel act on a SysRq key, and returns the console lines it printed. */
export async function sysRq(context: VmContext, key: string, { via, ...options }: SysrqOptions): Promise<string[]> {
  if (key.length !== 1 || !PRINTING.includes(key)) {
    throw new QmpilotError('USAGE', `sysrq: ${JSON.stringify(key)} is not a SysRq key that only prints`, {
      hint: `use one of ${[...PRINTING].join(' ')}; for others write to /proc/sysrq-trigger`,
    });
  }
  if (via === 'keyboard' || via === 'serial') return sysRqByKeys(context, key, via, options);
  const shell = context.samplingShell ?? (via === 'shell' ? context.mainShell() : undefined);
  if (shell && (via === 'shell' || (await answers(shell, options)))) return byShell(context, shell, key, options);
  return sysRqByAnyKeys(context, key, options);
}

async function answers(shell: ConsoleShell, { signal }: WaitOptions): Promise<boolean> {
  return shell.ping({ signal, patience: SHELL_ANSWERS_WITHIN }).then(
    () => true,
    (error: unknown) => {
      if (isQmpilotError(error, 'ABORTED')) throw error;
      return false;
    },
  );
}

/** Writes a mark to the kernel's log before and after: the lines between them are the answer. */
async function byShell(
  { console }: VmContext,
  shell: ConsoleShell,
  key: string,
  options: WaitOptions,
): Promise<string[]> {
  const id = randomBytes(6).toString('hex');
  const from = console.position;
  const { signal, timeout } = options;
  const wait = { patience: '30s', signal, timeout };
  const level = `l=$(cat /proc/sys/kernel/printk); echo 8 > /proc/sys/kernel/printk`;
  const script = `${level}; echo "<0>qmpilot-${id}-begin" > /dev/kmsg; echo ${key} > /proc/sysrq-trigger; echo "<0>qmpilot-${id}-end" > /dev/kmsg; echo "$l" > /proc/sys/kernel/printk`;
  // The kernel may still be printing on the serial line when the command has ended.
  const end = console.expect(`qmpilot-${id}-end`, { ...wait, from });
  end.catch(() => {});
  await shell.expectOk(script, wait);
  const match = await end;
  const text = console.textBetween(from, match.position);
  const begin = text.indexOf(`qmpilot-${id}-begin`);
  return text
    .slice(begin === -1 ? 0 : text.indexOf('\n', begin) + 1)
    .split('\n')
    .slice(0, -1);
}

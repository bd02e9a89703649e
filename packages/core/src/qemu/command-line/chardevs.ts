import { stat } from 'node:fs/promises';
import { QmpilotError } from '../../errors.js';
import type { QmpClient } from '../../qmp/client.js';
import { pause, type WaitOptions } from '../../util/async/deadline.js';

/** QEMU's backends of serial lines and monitors: a label (`serial0`) and where each leads, in QEMU's words. */
export type Chardevs = readonly { readonly label: string; readonly filename: string }[];

/** A client that has just disconnected is still listed there for a moment. */
const MAX_POLLS = 10;
const POLL_INTERVAL_MS = 100;

export async function listChardevs(qmp: QmpClient, options: WaitOptions): Promise<Chardevs> {
  return qmp.execute('query-chardev', undefined, options);
}

/**
 * A socket of QEMU takes one client at a time, and lets a second one connect without a word: so QEMU is asked first.
 * @param name what the path was given for: `console`, `shell`
 * @throws {CONSOLE_CLOSED} for what is not a socket, or is taken
 */
export async function checkFreeSocket(name: string, path: string, qmp: QmpClient, options: WaitOptions): Promise<void> {
  const info = await stat(path).catch(async (cause: unknown) => {
    throw new QmpilotError('CONSOLE_CLOSED', `${name}: there is no socket at ${path}`, {
      cause,
      hint: whereTheyLead(await listChardevs(qmp, options)),
    });
  });
  if (!info.isSocket()) {
    const kind = info.isCharacterDevice() ? 'a terminal' : 'no socket';
    throw new QmpilotError('CONSOLE_CLOSED', `${name}: ${path} is ${kind}; only a unix socket can be attached to`, {
      hint: `give QEMU one: -serial unix:PATH,server=on,wait=off (libvirt: <serial type='unix'>); ${whereTheyLead(await listChardevs(qmp, options))}`,
    });
  }
  for (let look = 1; ; look += 1) {
    // One that waits for its client is `disconnected:unix:...`.
    const taken = (await listChardevs(qmp, options)).find(
      ({ filename }) => filename === `unix:${path}` || filename.startsWith(`unix:${path},`),
    );
    if (!taken) return;
    if (look === MAX_POLLS) {
      throw new QmpilotError(
        'CONSOLE_CLOSED',
        `${name}: another client holds ${path} (${taken.label}), which takes one at a time`,
        {
          hint: 'end that client (socat, virsh console, another attach), or leave this socket out: QMP works without it',
        },
      );
    }
    await pause(POLL_INTERVAL_MS, options.signal);
  }
}

/** Describes for users what the guest's lines are connected to. */
export function whereTheyLead(chardevs: Chardevs): string {
  const lines = chardevs.filter(({ label }) => !label.startsWith('compat_monitor'));
  if (lines.length === 0) return 'this QEMU has no serial line at all';
  return `this QEMU has ${lines.map(({ label, filename }) => `${label} at ${filename}`).join(', ')}`;
}

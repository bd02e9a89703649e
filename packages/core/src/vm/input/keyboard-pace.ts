import { isQmpilotError } from '../../errors.js';
import type { QmpClient } from '../../qmp/client.js';
import { pause, poll, type WaitOptions } from '../../util/async/deadline.js';

/** Reading it changes nothing. Bit 0: a byte waits for the guest (IBM PS/2 keyboard controller). */
const STATUS_PORT = 'i /xb 0x64';
const OUTPUT_FULL = 1;
/** Pause after a stroke where the controller's state cannot be read. */
const UNKNOWN_STATE_DELAY_MS = 30;
/** A guest that is busy with a long output on its serial console reads no keys at that time. */
const READ_TIMEOUT = '30s';

/**
 * Waits until the guest has taken every byte of its PS/2 keyboard. It holds 16 and drops the rest, and a stroke with AltGr has 8: a
 * fixed pause is too short for a guest that is busy.
 * @throws {TIMEOUT} when the guest reads no keys
 */
export async function keyboardRead(qmp: QmpClient, options: WaitOptions): Promise<void> {
  const what = {
    awaited: 'the guest to read its keyboard',
    defaultTimeout: READ_TIMEOUT,
    details: () => ({ hint: 'a guest that hangs, or has no driver for a PS/2 keyboard, does not read keys' }),
  };
  await poll(what, { ...options, interval: 1 }, async (signal) => {
    const status = await controllerStatus(qmp, signal);
    if (status === undefined) await pause(UNKNOWN_STATE_DELAY_MS, signal);
    return status === undefined || (status & OUTPUT_FULL) === 0 ? true : undefined;
  });
}

async function controllerStatus(qmp: QmpClient, signal: AbortSignal): Promise<number | undefined> {
  try {
    const said = await qmp.executeUntyped<string>('human-monitor-command', { 'command-line': STATUS_PORT }, { signal });
    const value = /= (0x[0-9a-f]{1,8})/.exec(said)?.[1];
    // Without a device at the port all bits are set.
    return value === undefined || Number(value) === 0xff ? undefined : Number(value);
  } catch (error) {
    if (isQmpilotError(error, 'QMP_COMMAND')) return undefined;
    throw error;
  }
}

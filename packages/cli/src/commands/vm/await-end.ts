import { setTimeout as sleep } from 'node:timers/promises';
import { QmpilotError } from '@qmpilot/core';
import { requireVm } from '../../daemon/state.js';

const LIMIT_MS = 30_000;
const POLL_MS = 50;

/** Waits until the daemon has ended a VM and cleaned up after it. */
export async function awaitEnd(name: string): Promise<void> {
  const limit = performance.now() + LIMIT_MS;
  while ((await requireVm(name)).life === 'running') {
    if (performance.now() > limit)
      throw new QmpilotError('TIMEOUT', `timed out after 30 s waiting for the VM ${name} to end`, {
        hint: 'qmpilot ps --json shows the process id of its daemon',
      });
    await sleep(POLL_MS);
  }
}

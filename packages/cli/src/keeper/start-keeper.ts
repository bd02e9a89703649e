import { spawn } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { QmpilotError } from '@qmpilot/core';
import type { BootRequest } from './boot-request.js';
import { claim, type VmRecord } from './state.js';
import type { VmStatus } from './verbs.js';
import { fromWireError, type WireError } from './wire.js';

/**
 * Starts a keeper for a new named vm, and waits until the guest is up.
 * @throws {USAGE} when the name is taken
 * @throws what `boot` throws; nothing is left then but what `qmpilot logs` shows
 */
export async function startKeeper(
  record: VmRecord,
  request: BootRequest,
  options: { readonly signal: AbortSignal; readonly onProgress: (message: string) => void },
): Promise<VmStatus> {
  const directory = await claim(record);
  const log = openSync(join(directory, 'keeper.log'), 'a', 0o600);
  const child = spawn(process.execPath, [process.argv[1] ?? '', 'keep', JSON.stringify({ record, request })], {
    detached: true,
    cwd: '/',
    stdio: ['ignore', log, log, 'pipe'],
  });
  closeSync(log);
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? `status ${code}`}`));
  });
  const interrupt = () => child.kill('SIGTERM');
  options.signal.addEventListener('abort', interrupt, { once: true });
  const progress = child.stdio[3];
  try {
    if (!(progress instanceof Readable))
      throw new QmpilotError('QEMU_START', `the keeper of ${record.name} could not be started: ${await exited}`);
    for await (const line of createInterface({ input: progress })) {
      const message = JSON.parse(line) as { progress?: string; ready?: VmStatus; error?: WireError };
      if (message.progress !== undefined) options.onProgress(message.progress);
      if (message.ready) return message.ready;
      if (message.error) {
        await exited;
        options.signal.throwIfAborted();
        throw fromWireError(message.error);
      }
    }
    const how = await exited;
    options.signal.throwIfAborted();
    await rm(directory, { recursive: true, force: true });
    throw new QmpilotError('QEMU_START', `the keeper of ${record.name} is gone before the guest was up: ${how}`, {
      hint: 'was it killed by the out-of-memory killer? see dmesg',
    });
  } finally {
    options.signal.removeEventListener('abort', interrupt);
    if (progress instanceof Readable) progress.destroy();
    child.unref();
  }
}

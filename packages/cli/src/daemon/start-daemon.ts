import { spawn } from 'node:child_process';
import { openSync, closeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { QmpilotError } from '@qmpilot/core';
import type { BootRequest } from './boot-request.js';
import { claim, type VmRecord } from './state.js';
import { DAEMON_COMMAND, type VmStatus } from './verbs.js';
import { fromWireError, type WireError } from './wire.js';

/**
 * Starts a daemon for a new named VM, and waits until the guest has booted.
 * @throws {USAGE} when the name is taken
 * @throws what `boot` throws; the console of the failed boot remains for `qmpilot logs`
 */
export async function startDaemon(
  record: VmRecord,
  request: BootRequest,
  options: {
    readonly signal: AbortSignal;
    readonly onProgress: (message: string) => void;
    readonly onConsoleLine: (line: string) => void;
  },
): Promise<VmStatus> {
  const directory = await claim(record);
  const log = openSync(join(directory, 'daemon.log'), 'a', 0o600);
  const child = spawn(process.execPath, [process.argv[1] ?? '', DAEMON_COMMAND, JSON.stringify({ record, request })], {
    detached: true,
    cwd: '/',
    stdio: ['ignore', log, log, 'pipe'],
  });
  closeSync(log);
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) =>
      resolve(signal === null ? `it exited with status ${code}` : `it was killed by ${signal}`),
    );
  });
  const interrupt = () => child.kill('SIGTERM');
  options.signal.addEventListener('abort', interrupt, { once: true });
  const progress = child.stdio[3];
  try {
    if (!(progress instanceof Readable))
      throw new QmpilotError('QEMU_START', `cannot start the daemon of ${record.name}: ${await exited}`);
    for await (const line of createInterface({ input: progress })) {
      const message = JSON.parse(line) as {
        progress?: string;
        consoleLine?: string;
        ready?: VmStatus;
        error?: WireError;
      };
      if (message.progress !== undefined) options.onProgress(message.progress);
      if (message.consoleLine !== undefined) options.onConsoleLine(message.consoleLine);
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
    throw new QmpilotError('QEMU_START', `the daemon of ${record.name} ended during the boot: ${how}`, {
      hint: 'dmesg shows whether the out-of-memory killer ended it',
    });
  } finally {
    options.signal.removeEventListener('abort', interrupt);
    if (progress instanceof Readable) progress.destroy();
    child.unref();
  }
}

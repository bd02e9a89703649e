import { describeKillEffect, type KillEffect } from '../../detect/threads/kill-effect.js';
import { MAX_SAMPLE_BYTES, THREAD_SAMPLE_SCRIPT } from '../../detect/threads/thread-sample-script.js';
import { parseThreadSample, type ThreadSample } from '../../detect/threads/thread-sample.js';
import { QmpilotError } from '../../errors.js';
import type { Shell } from '../../shell/shell.js';
import { pause, type WaitOptions } from '../../util/async/deadline.js';
import { parseDuration, type Duration } from '../../util/time/duration.js';

export interface KillOptions extends WaitOptions {
  /** How long the kernel is given to end them; default 2 s. */
  readonly after?: Duration | undefined;
}

/** Samples the blocked threads before and after it kills the processes, and reports the effect on each. */
export async function killAndReport(
  shell: Shell,
  pids: readonly number[],
  options: KillOptions,
): Promise<KillEffect[]> {
  for (const pid of pids) {
    if (!Number.isInteger(pid) || pid < 2)
      throw new QmpilotError('USAGE', `kill: ${pid} is not the pid of a process that can be killed`);
  }
  const wait = {
    patience: '30s',
    signal: options.signal,
    ...(options.timeout !== undefined && { timeout: options.timeout }),
  };
  const before = await sample(shell, wait);
  await shell.exec(`kill -9 ${pids.join(' ')}`, wait);
  await pause(parseDuration(options.after ?? '2s', 'after'), options.signal);
  const wanted = before.blocked.filter(({ pid }) => pids.includes(pid));
  return describeKillEffect({ ...before, blocked: wanted }, await sample(shell, wait));
}

async function sample(shell: Shell, wait: WaitOptions): Promise<ThreadSample> {
  return parseThreadSample(
    (await shell.expectOk(THREAD_SAMPLE_SCRIPT, { ...wait, maxOutput: MAX_SAMPLE_BYTES })).stdout,
  );
}

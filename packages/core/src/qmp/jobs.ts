import { isQmpilotError, QmpilotError } from '../errors.js';
import { awaitWithin, type WaitOptions } from '../util/deadline.js';
import type { QmpClient } from './client.js';
import { Job, NO_TIMEOUT, type JobEnd, type JobProgress } from './job.js';

export interface JobOptions extends WaitOptions {
  /** Called about ten times a second. QEMU sends no event for progress: it is asked. */
  readonly onProgress?: ((progress: JobProgress) => void) | undefined;
  /**
   * Called when a mirror or an active commit has caught up (`ready`); the job is completed when it returns or resolves.
   * Unset, the job is completed at once.
   */
  readonly onReady?: (() => void | Promise<void>) | undefined;
}

/** Commands whose jobs vanish at their end, error and all, unless told otherwise (`auto-dismiss` in QEMU's schema). */
export const AUTO_DISMISSING: ReadonlySet<string> = new Set([
  'block-commit',
  'block-stream',
  'blockdev-backup',
  'blockdev-mirror',
  'drive-backup',
]);

/** How long a cancelled job may take to conclude before its caller goes on; it is dismissed later then. */
const CANCEL_GRACE_MS = 5_000;

export async function runJob(
  client: QmpClient,
  command: string,
  args: { readonly 'job-id': string },
  options: JobOptions,
): Promise<void> {
  const id = args['job-id'];
  if (typeof id !== 'string' || id === '') {
    throw new QmpilotError('USAGE', `${command}: runJob needs the job's id as 'job-id'`, { hint: "add 'job-id' to the arguments" });
  }
  const job = new Job(client, id, options);
  let refused = false;
  let end: JobEnd;
  try {
    end = await awaitWithin<JobEnd>(
      { awaited: `the end of job ${id} (${command})`, details: () => ({ evidence: { job: job.last } }) },
      options,
      (resolve, reject) => {
        const start = async () => {
          const all = AUTO_DISMISSING.has(command) ? { 'auto-dismiss': false, ...args } : args;
          await client.executeUntyped(command, all, { timeout: NO_TIMEOUT }).catch((error: unknown) => {
            refused = isQmpilotError(error, 'QMP_COMMAND');
            throw error;
          });
          return job.concluded();
        };
        start().then(resolve, reject);
      },
    );
  } catch (error) {
    if (refused || client.isClosed) job.forget();
    else await cancel(client, job);
    throw error;
  } finally {
    job.stopProgress();
  }
  await job.dismiss();
  if (end.error !== undefined) {
    throw new QmpilotError('QMP_JOB', `${command}: ${end.error}`, {
      evidence: { job: id, command, desc: end.error },
      hint: "the text is QEMU's own; query-named-block-nodes shows what it had to work with",
    });
  }
}

/** Waits a while for the cancelled job; a job that takes longer is dismissed whenever it concludes. */
async function cancel(client: QmpClient, job: Job): Promise<void> {
  job.stopProgress();
  const ended = (async () => {
    await client.executeUntyped('job-cancel', { id: job.id }, { timeout: NO_TIMEOUT }).catch(() => {});
    await job.concluded();
    await job.dismiss();
  })();
  await awaitWithin<void>({ awaited: `job ${job.id} to be cancelled`, defaultTimeout: CANCEL_GRACE_MS }, {}, (resolve) => {
    ended.then(resolve, () => resolve());
  }).catch(() => {});
}

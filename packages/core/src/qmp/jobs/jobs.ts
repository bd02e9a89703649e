import { randomBytes } from 'node:crypto';
import { QmpilotError } from '../../errors.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import { NO_TIMEOUT } from '../protocol/timeouts.js';
import { Job, type JobClient, type JobEnd, type JobProgress } from './job.js';

export interface JobOptions extends WaitOptions {
  /** Called about ten times a second. QEMU sends no event for progress, so it is polled. */
  readonly onProgress?: ((progress: JobProgress) => void) | undefined;
  /**
   * Called when a mirror or an active commit has caught up (`ready`); the job is completed when it returns or resolves.
   * Unset, the job is completed at once.
   */
  readonly onReady?: (() => void | Promise<void>) | undefined;
  /** Called when a job with `auto-finalize: false` waits (`pending`); it is finalized when this returns or resolves. */
  readonly onPending?: (() => void | Promise<void>) | undefined;
}

/** Commands whose jobs vanish at their end, error and all, unless told otherwise (`auto-dismiss` in QEMU's schema). */
const AUTO_DISMISSING: ReadonlySet<string> = new Set([
  'block-commit',
  'block-stream',
  'blockdev-backup',
  'blockdev-mirror',
  'drive-backup',
]);

/** The time a cancelled job has to conclude before its caller continues; it is dismissed later then. */
const CANCEL_GRACE_MS = 5_000;

export async function runJob(client: JobClient, command: string, args: object, options: JobOptions): Promise<void> {
  const id =
    'job-id' in args && args['job-id'] !== undefined ? args['job-id'] : `qmpilot-${randomBytes(4).toString('hex')}`;
  if (typeof id !== 'string' || id === '') {
    throw new QmpilotError('USAGE', `${command}: 'job-id' is not a job's id`, {
      hint: 'give a string, or leave it out',
    });
  }
  const all = { ...(AUTO_DISMISSING.has(command) && { 'auto-dismiss': false }), ...args, 'job-id': id };
  await conclude(client, new Job(client, id, options), command, options, () =>
    client.executeUntyped(command, all, { timeout: NO_TIMEOUT }),
  );
}

export function followJob(client: JobClient, id: string, options: JobOptions): Promise<void> {
  return conclude(client, new Job(client, id, options), `job ${id}`, options, () => Promise.resolve());
}

async function conclude(
  client: JobClient,
  job: Job,
  doing: string,
  options: JobOptions,
  start: () => Promise<unknown>,
): Promise<void> {
  let started: Promise<unknown> | undefined;
  let end: JobEnd;
  try {
    end = await awaitWithin<JobEnd>(
      { awaited: `the end of job ${job.id} (${doing})`, details: () => ({ evidence: { job: job.last } }) },
      options,
      (resolve, reject) => {
        started = start();
        started.then(() => job.concluded()).then(resolve, reject);
      },
    );
  } catch (error) {
    if (started === undefined || client.isClosed) job.forget();
    else await cancel(client, job, started);
    throw error;
  } finally {
    job.stopProgress();
  }
  await job.dismiss();
  if (end.error !== undefined) {
    throw new QmpilotError('QMP_JOB', `${doing}: ${end.error}`, {
      evidence: { job: job.id, desc: end.error },
      hint: "the message is QEMU's; query-named-block-nodes lists its block devices",
    });
  }
}

/** Waits a while for the cancelled job; a job that takes longer is dismissed whenever it concludes. */
async function cancel(client: JobClient, job: Job, started: Promise<unknown>): Promise<void> {
  job.stopProgress();
  const ended = (async () => {
    try {
      await started;
    } catch {
      // Refused, perhaps because the id is that of another client's job: do not cancel that one.
      return job.forget();
    }
    // Refused when it has concluded meanwhile.
    await client.execute('job-cancel', { id: job.id }, { timeout: NO_TIMEOUT }).catch(() => {});
    await job.gone();
    await job.dismiss();
  })();
  await awaitWithin<void>(
    { awaited: `job ${job.id} to be cancelled`, defaultTimeout: CANCEL_GRACE_MS },
    {},
    (resolve) => {
      ended.then(resolve, () => resolve());
    },
  ).catch(() => {});
}

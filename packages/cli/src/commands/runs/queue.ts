import { QmpilotError, type AttemptQueue } from '@qmpilot/core';

/** Options of the commands whose attempts other machines can make. */
export interface QueueCommandOptions {
  readonly queue?: string;
  readonly evidence?: string;
  readonly lease?: number;
}

/** Opens the queue that the options name. @throws {USAGE} when there is none, and options for it */
export async function openQueueOf(
  command: string,
  { queue: url, evidence, lease }: QueueCommandOptions,
  run: {
    readonly scenario: string;
    readonly guest?: string | undefined;
    readonly kernel?: string | undefined;
    readonly source?: string;
  },
): Promise<AttemptQueue | undefined> {
  if (url !== undefined) {
    const { openQueue } = await import('@qmpilot/core/queue');
    return openQueue({ url, evidence, lease, ...run });
  }
  if (evidence === undefined && lease === undefined) return undefined;
  throw new QmpilotError('USAGE', `${command}: ${evidence === undefined ? '--lease' : '--evidence'} is for --queue`, {
    hint: 'name the queue as well: --queue redis://HOST:PORT',
  });
}

import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { QmpilotError } from '../../errors.js';
import type { AttemptQueue } from '../../repro/run/attempt-queue.js';
import { ownVersion } from '../../repro/run/environment.js';
import { parseDuration } from '../../util/time/duration.js';
import { packBundle } from '../store/bundle.js';
import { connect } from '../store/connection.js';
import { realmOf } from '../store/names.js';
import { QueueKey } from '../store/seal.js';
import { Coordinator } from './coordinator.js';
import { checkQueueOptions, type QueueOptions } from './options.js';

const MIN_LEASE_MS = 1000;

/**
 * Connects to a queue in Redis or Valkey, for `runScenario({ queue })`: the attempts are made by workers on other machines.
 * @throws {USAGE} for invalid options, without a key, or when Redis refuses the password
 * @throws {IO} when there is no Redis, {TOOL_MISSING} without the packages bullmq and ioredis
 */
export async function openQueue(options: QueueOptions): Promise<AttemptQueue> {
  checkQueueOptions(options);
  const { url, guest, kernel, build, evidence } = options;
  const leaseMs = parseDuration(options.lease ?? '30s', 'lease');
  if (leaseMs < MIN_LEASE_MS)
    throw new QmpilotError('USAGE', 'lease: less than 1 s', {
      hint: 'workers say twice in this time that they are there: 10 s and more are sensible',
    });
  const key = new QueueKey(options.key ?? process.env['QMPILOT_QUEUE_KEY']);
  const bundle = await packBundle(options.scenario);
  let tell: (message: string) => void = () => {};
  const connection = await connect(url, (message) => tell(message));
  return {
    async makeAttempts(attempts) {
      tell = (message) => attempts.tell({ type: 'progress', message });
      const { run, fresh, guestKey, dumped, checkpoints } = attempts;
      if ((options.source ?? run.source?.sha256 ?? bundle.source) !== bundle.source)
        throw new QmpilotError('USAGE', `the scenario ${options.scenario} has changed since this run began`, {
          hint: 'start the run again',
        });
      if (!dumped && evidence === undefined)
        tell(
          'warning: detect.dump keeps no dump of this run: memory is not sent through a queue without --evidence DIR',
        );
      const realm = realmOf(ownVersion(), key.id);
      const session = randomBytes(16).toString('hex');
      const manifest = {
        v: 1 as const,
        session,
        name: run.name,
        bundle: bundle.sha256,
        file: bundle.file,
        source: run.source?.sha256 ?? bundle.source,
        ...(guest !== undefined && { guest }),
        ...(kernel !== undefined && { kernel }),
        ...(build !== undefined && { build }),
        ...(checkpoints && { checkpoints }),
        timeoutMs: run.timeoutMs,
        leaseMs,
        fresh,
        ...(guestKey !== undefined && { guestKey }),
        ...(evidence !== undefined && { evidence: resolve(evidence) }),
        dump: !dumped,
      };
      return new Coordinator({ attempts, connection, key, realm, manifest, bundle }).run();
    },
    async close() {
      connection.close();
    },
  };
}

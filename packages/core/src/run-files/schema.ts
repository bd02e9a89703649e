import * as v from 'valibot';

const text = v.string();
const number = v.pipe(v.number(), v.finite());
const duration = v.pipe(number, v.minValue(0));
const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(1));

export const SHARD_SCHEMA = v.pipe(
  v.object({ index: count, count }),
  v.check(({ index, count: shards }) => index <= shards),
);

const FACTS_SCHEMA = v.looseObject({
  qemu: v.looseObject({ version: text, path: v.exactOptional(text) }),
  accelerator: v.looseObject({
    accelerator: text,
    reason: v.exactOptional(text),
    provenAt: v.exactOptional(text),
  }),
  guest: v.looseObject({ name: text, key: text, kernelRelease: v.exactOptional(text) }),
  machine: v.exactOptional(text),
  cpu: v.exactOptional(text),
  cpus: v.exactOptional(number),
  memoryMiB: v.exactOptional(number),
  commandLine: v.exactOptional(v.array(text)),
});

/** run.json, version 1. Fields that are not listed are taken as they are. */
export const RUN_SCHEMA = v.looseObject({
  v: v.literal(1),
  name: text,
  startedAt: text,
  seed: whole,
  attempts: count,
  shard: v.exactOptional(SHARD_SCHEMA),
  timeoutMs: duration,
  untilReproduced: v.exactOptional(count),
  until: v.exactOptional(text),
  checkpoints: v.exactOptional(
    v.looseObject({ everyMs: v.exactOptional(duration), most: count, mebibytes: count, attempts: count }),
  ),
  source: v.exactOptional(v.object({ file: text, sha256: text })),
  environment: v.exactOptional(
    v.looseObject({
      qmpilot: v.exactOptional(text),
      node: v.exactOptional(text),
      host: v.exactOptional(text),
      cpus: v.exactOptional(number),
      cpuModel: v.exactOptional(text),
      memoryMiB: v.exactOptional(number),
    }),
  ),
  facts: v.exactOptional(FACTS_SCHEMA),
  sessions: v.array(
    v.looseObject({
      startedAt: v.exactOptional(text),
      forks: v.exactOptional(number),
      end: v.exactOptional(text),
      message: v.exactOptional(text),
    }),
  ),
});

/** A finding in attempts.jsonl; detectors add fields of their own. */
export const FINDING_SCHEMA = v.looseObject({
  kind: text,
  severity: v.picklist(['error', 'warning', 'info']),
  title: text,
  signature: text,
  at: duration,
  task: v.exactOptional(v.looseObject({ comm: text, pid: number, tgid: v.exactOptional(number) })),
  stack: v.exactOptional(
    v.array(v.looseObject({ function: text, raw: text, uncertain: v.exactOptional(v.literal(true)) })),
  ),
  evidence: v.array(text),
  times: v.exactOptional(count),
});

/** A line of attempts.jsonl, version 1. */
export const ATTEMPT_SCHEMA = v.looseObject({
  v: v.literal(1),
  type: v.literal('attempt'),
  index: count,
  outcome: v.picklist(['reproduced', 'clean', 'inconclusive']),
  reason: v.exactOptional(text),
  startedAt: v.exactOptional(text),
  ms: duration,
  restoreMs: v.exactOptional(duration),
  timeToFailureMs: v.exactOptional(number),
  seed: v.exactOptional(number),
  fork: v.exactOptional(number),
  findings: v.array(FINDING_SCHEMA),
  explanation: v.exactOptional(v.array(text)),
  dump: v.exactOptional(text),
  checkpoints: v.exactOptional(
    v.looseObject({
      endedAt: duration,
      list: v.array(
        v.looseObject({
          number: count,
          at: duration,
          mark: v.exactOptional(text),
          pausedMs: duration,
          bytes: duration,
        }),
      ),
    }),
  ),
});

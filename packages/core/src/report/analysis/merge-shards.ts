import type { AttemptEvidence, RunInput } from './input.js';

/**
 * Puts the shards of one run together: those of the same scenario, seed, number of attempts and number of shards. Other runs stay as
 * they are, in the order given. An attempt that two of them have counts once.
 */
export function mergeShards(inputs: readonly RunInput[]): RunInput[] {
  const groups = new Map<string, RunInput[]>();
  for (const [place, input] of inputs.entries()) {
    const { source, seed, attempts, shard, name } = input.run;
    const key =
      shard === undefined || shard.count < 2
        ? `alone ${place}`
        : JSON.stringify([source?.sha256 ?? name, seed, attempts, shard.count]);
    groups.set(key, [...(groups.get(key) ?? []), input]);
  }
  return [...groups.values()]
    .map((parts) => {
      const [first] = parts;
      return first === undefined || parts.length === 1 ? parts : [merged(first, parts)];
    })
    .flat();
}

function merged(first: RunInput, parts: readonly RunInput[]): RunInput {
  const owners = new Map<number, RunInput>();
  let twice = 0;
  for (const part of parts) {
    for (const { index } of part.attempts) {
      if (owners.has(index)) twice += 1;
      else owners.set(index, part);
    }
  }
  const shards = parts.flatMap(({ run, label }) => (run.shard ? [{ ...run.shard, label }] : []));
  const missing = missingShards(shards);
  const evidence = new Map<number, AttemptEvidence>();
  for (const part of parts)
    for (const [index, one] of part.evidence) if (owners.get(index) === part) evidence.set(index, one);
  return {
    ...first,
    label: first.run.name,
    attempts: [...owners]
      .flatMap(([index, part]) => part.attempts.find((attempt) => attempt.index === index) ?? [])
      .toSorted((one, other) => one.index - other.index),
    evidence,
    when: parts.flatMap((part) => (part.when ?? []).filter(({ attempt }) => owners.get(attempt) === part)),
    folder: (index) => (owners.get(index) ?? first).folder(index),
    notes: [
      ...parts.flatMap(({ notes }) => notes),
      ...(missing.length > 0 ? [`Shards that are not here: ${missing.join(', ')} of ${shards[0]?.count}.`] : []),
      ...(twice > 0 ? [`${twice} attempts were in more than one of the folders; each counts once.`] : []),
    ],
    shards: shards.toSorted((one, other) => one.index - other.index),
  };
}

function missingShards(shards: readonly { readonly index: number; readonly count: number }[]): number[] {
  const there = new Set(shards.map(({ index }) => index));
  return Array.from({ length: Math.min(shards[0]?.count ?? 0, 10_000) }, (_, place) => place + 1).filter(
    (index) => !there.has(index),
  );
}

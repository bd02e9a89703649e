import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import type { AttemptRecord } from '@qmpilot/core';
import { unmount } from '../support/host-tools.js';
import { checkFault, checkResumed, type Damage } from './checks.js';
import { FaultRun } from './fault-run.js';
import type { FaultKind } from './kinds/fault-kind.js';

export interface FaultResult extends Damage {
  /** The fault could not be made here. */
  readonly skipped?: string;
  readonly exit: string;
  /** Attempts that were finished when the fault had done its work, and inconclusive ones among them. */
  readonly finished: number;
  readonly inconclusive: number;
}

/** How much of a run's time its attempts take; the rest is the boot. */
const ATTEMPTS_SHARE = 0.4;

/**
 * Makes the fault at a random moment of a run that takes `usualMs`, resumes the run, and says what came of it. One in four comes
 * at any time, most of which is the boot, the others while there are attempts.
 */
export async function makeFault(
  kind: FaultKind,
  guest: Readonly<Record<string, string>>,
  usualMs: number,
  random: () => number,
): Promise<FaultResult> {
  const run = new FaultRun(guest);
  const nothing = { exit: '', finished: 0, inconclusive: 0, lost: [], left: [], wrong: [] };
  try {
    const impossible = kind.setUp?.(run, random);
    if (impossible !== undefined) return { ...nothing, skipped: impossible };
    const options = kind.start?.(run, random) ?? {};
    const exempt = Number(options.env?.['FAULT_AT'] ?? 0);
    const controller = run.start(options);
    let notInjected: string | undefined;
    if (kind.inject) {
      const [anyTime, moment] = [random() < 0.25, random()];
      if (!anyTime) await controller.attempting;
      await Promise.race([after(moment * usualMs * (anyTime ? 1 : ATTEMPTS_SHARE)), controller.ended]);
      if (controller.running) notInjected = await kind.inject({ run, controller, random });
    }
    const end = await controller.ended;
    if (notInjected !== undefined) return { ...nothing, skipped: notInjected };
    const tooLate = end.code === 1 && kind.inject !== undefined;
    const damage = await checkFault(run, end, { exempt, exits: tooLate ? [1] : kind.exits, says: kind.says });
    const wrong = kind.check?.(run, end) ?? [];
    await kind.repair?.(run);
    const before = whole(run.dir);
    const again = existsSync(run.path('out', 'run', 'run.json')) ? run.resume() : startOver(run);
    const resumed = await checkResumed(run, await again.ended, before, exempt);
    return {
      exit: String(end.code ?? end.signal),
      finished: before.length,
      inconclusive: before.filter(({ outcome }) => outcome === 'inconclusive').length,
      lost: [...damage.lost, ...resumed.lost],
      left: [...damage.left, ...resumed.left],
      wrong: [...damage.wrong, ...wrong, ...resumed.wrong],
    };
  } finally {
    await kind.repair?.(run);
    for (const name of ['tmp', 'ram', 'out']) unmount(run.path(name));
    run.remove();
  }
}

/** It was ended before it had said what run it is: no attempt was made. */
function startOver(run: FaultRun) {
  run.forget();
  return run.start();
}

function whole(dir: string): AttemptRecord[] {
  if (!existsSync(`${dir}/attempts.jsonl`)) return [];
  return readFileSync(`${dir}/attempts.jsonl`, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line): AttemptRecord => JSON.parse(line));
}

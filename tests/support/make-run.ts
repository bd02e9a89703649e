import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface MadeAttempt {
  readonly outcome: 'reproduced' | 'clean' | 'inconclusive';
  readonly ms: number;
  readonly title?: string;
  readonly reason?: string;
  /** More of its record. */
  readonly record?: object;
  readonly files?: Readonly<Record<string, string>>;
}

/** A run directory as `qmpilot repro` writes it, without having run. */
export function makeRun(dir: string, attempts: readonly MadeAttempt[], description: object = {}): string {
  mkdirSync(join(dir, 'attempts'), { recursive: true });
  const lines = attempts.map(({ outcome, ms, title = 'INFO: task hung in f', reason, record }, place) => {
    const index = place + 1;
    const finding = {
      kind: 'hung-task',
      severity: 'error',
      title,
      signature: title,
      at: ms / 2,
      evidence: [title],
      times: 1,
    };
    const failed = outcome === 'reproduced' ? { timeToFailureMs: ms / 2, findings: [finding] } : { findings: [] };
    return JSON.stringify({
      v: 1,
      type: 'attempt',
      index,
      outcome,
      startedAt: '2026-01-31T12:00:00.000Z',
      ms,
      restoreMs: 40,
      seed: index,
      reason,
      ...failed,
      ...record,
    });
  });
  writeFileSync(join(dir, 'attempts.jsonl'), `${lines.join('\n')}\n`);
  writeFileSync(
    join(dir, 'run.json'),
    JSON.stringify({
      v: 1,
      name: 'made',
      startedAt: '2026-01-31T12:00:00.000Z',
      attempts: attempts.length,
      sessions: [{ end: 'finished' }],
      ...description,
    }),
  );
  for (const [place, { files = {} }] of attempts.entries()) {
    const folder = join(dir, 'attempts', String(place + 1).padStart(4, '0'));
    mkdirSync(folder, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  }
  return dir;
}

/** A console of so many seconds, a kernel line each, with its times. */
export function consoleOf(seconds: number): Readonly<Record<string, string>> {
  const lines = Array.from(
    { length: seconds },
    (_, second) => `[${`${second}.000000`.padStart(12)}] line of second ${second}\r\n`,
  );
  let offset = 0;
  const timing = lines.map((line, second) => {
    const entry = `${second * 1000} ${offset}\n`;
    offset += line.length;
    return entry;
  });
  return { 'console.log': lines.join(''), 'console.timing': timing.join('') };
}

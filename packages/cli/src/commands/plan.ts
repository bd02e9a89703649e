import {
  chanceOfAllClean,
  cleanAttemptsNeeded,
  cleanAttemptsNeededAfter,
  parseShare,
  QmpilotError,
  readRuns,
  reportData,
  SequentialTest,
} from '@qmpilot/core';
import { InvalidArgumentError, type Command } from 'commander';
import { duration, wholeNumber } from '../arguments.js';
import { longMs } from '../render/durations.js';
import { renderJson } from '../render/json.js';

interface PlanOptions {
  readonly rate?: number;
  readonly before?: Before;
  readonly from?: string;
  readonly confidence: number;
  readonly attemptTime?: number;
  readonly jobs: number;
  readonly json?: boolean;
}

interface Before {
  readonly failures: number;
  readonly attempts: number;
}

/** What is to be said: how many clean attempts, and what they show. */
interface Plan {
  readonly cleanAttempts: number;
  readonly because: string;
  /** How many when one looks after each attempt, by `--until`. */
  readonly watched?: { readonly goal: string; readonly cleanAttempts: number };
  readonly attemptMs?: number;
}

const HELP = `
A failure known to happen at a rate, or seen in some of the attempts before a fix, may stay away by luck. This tells how many attempts
have to be clean, all of them, before that is improbable enough. Give one of --rate, --before and --from.`;

export function registerPlan(program: Command): void {
  program
    .command('plan')
    .description('how many clean attempts show that a failure is gone')
    .option('--rate <share>', 'how often it fails: 0.03 or 3%', share)
    .option('--before <k/n>', 'it failed k times in n attempts: 6/10', before)
    .option('--from <dir>', 'as --before, from a run directory; takes its time of an attempt, too')
    .option('--confidence <share>', 'how sure to be: 0.99 or 99%', share, 0.95)
    .option('--attempt-time <time>', 'how long an attempt takes: 90s', duration)
    .option('--jobs <n>', 'how many run at a time', wholeNumber, 1)
    .option('--json', 'one JSON line on standard output')
    .addHelpText('after', HELP)
    .action(async (options: PlanOptions) => {
      const plan = await makePlan(options);
      const attemptMs = options.attemptTime ?? plan.attemptMs;
      const totalMs = attemptMs === undefined ? undefined : Math.ceil(plan.cleanAttempts / options.jobs) * attemptMs;
      if (options.json === true) {
        process.stdout.write(
          `${renderJson({ v: 1, type: 'plan', cleanAttempts: plan.cleanAttempts, confidence: options.confidence, watched: plan.watched, totalMs }, false)}\n`,
        );
        return;
      }
      const time =
        totalMs === undefined || attemptMs === undefined
          ? ''
          : `  at ${longMs(attemptMs)} each${options.jobs > 1 ? `, ${options.jobs} at a time` : ''}: ${longMs(totalMs)}\n`;
      const watched =
        plan.watched === undefined
          ? ''
          : `  looking after each one, with --until '${plan.watched.goal}': ${plan.watched.cleanAttempts}\n`;
      process.stdout.write(
        `${plan.cleanAttempts} clean attempts, and not one failure\n  ${plan.because}\n${watched}${time}`,
      );
    });
}

async function makePlan({ rate, before: counted, from, confidence }: PlanOptions): Promise<Plan> {
  if ([rate, counted, from].filter((one) => one !== undefined).length !== 1) {
    throw new QmpilotError('USAGE', 'how often it fails has to be said once', {
      hint: 'give one of --rate 3%, --before 6/10 and --from DIR',
    });
  }
  const sure = shown(confidence);
  if (rate !== undefined) {
    const cleanAttempts = cleanAttemptsNeeded(rate, confidence);
    const goal = `rate<${rate}@${shown(confidence).replace(' ', '')}`;
    const watched = new SequentialTest({ relation: '<', rate, confidence }).attemptsLeft('clean');
    const chance = shown(Number(chanceOfAllClean(rate, cleanAttempts).toPrecision(2)));
    return {
      cleanAttempts,
      because: `a failure in ${shown(rate)} of attempts would stay away from all of them with a probability of ${chance}`,
      ...(watched !== null && { watched: { goal, cleanAttempts: watched } }),
    };
  }
  const run = from === undefined ? undefined : await ofRun(from);
  const seen = run ?? counted ?? { failures: 0, attempts: 0 };
  const because = `after ${seen.failures} failures in ${seen.attempts} attempts, so many show at ${sure} that the rate went down (Fisher's exact test, two-sided, as in qmpilot report BEFORE AFTER)`;
  return {
    cleanAttempts: cleanAttemptsNeededAfter(seen, confidence),
    because,
    ...(run?.attemptMs !== undefined && { attemptMs: run.attemptMs }),
  };
}

async function ofRun(dir: string): Promise<Before & { readonly attemptMs?: number }> {
  const [run] = await readRuns([dir], { evidence: false });
  const told = run?.attempts.filter(({ outcome }) => outcome !== 'inconclusive') ?? [];
  const clean = told.filter(({ outcome }) => outcome === 'clean');
  const timed = clean.length > 0 ? clean : told;
  const spent = timed.reduce((sum, { ms, restoreMs }) => sum + ms + restoreMs, 0);
  const [data] = run ? reportData([run]).runs : [];
  return {
    failures: data?.reproduced ?? 0,
    attempts: told.length,
    ...(timed.length > 0 && { attemptMs: spent / timed.length }),
  };
}

function shown(value: number): string {
  return `${Number((value * 100).toPrecision(12))} %`;
}

function share(text: string): number {
  try {
    return parseShare(text);
  } catch {
    throw new InvalidArgumentError('it must be between 0 and 1, as 0.03 or 3%.');
  }
}

function before(text: string): Before {
  const [, failures, attempts] = /^(\d{1,9})\/(\d{1,9})$/.exec(text) ?? [];
  const [k, n] = [Number(failures), Number(attempts)];
  if (k >= 1 && k <= n) return { failures: k, attempts: n };
  throw new InvalidArgumentError('it must be of the form 6/10: failures of attempts, one or more.');
}

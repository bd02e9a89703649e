import { QmpilotError } from '@qmpilot/core';
import { formatDuration } from '@qmpilot/core/internal';
import {
  chanceOfAllClean,
  cleanAttemptsNeeded,
  cleanAttemptsNeededAfter,
  parseShare,
  SequentialTest,
} from '@qmpilot/core/statistics';
import { InvalidArgumentError, type Command } from 'commander';
import { duration, wholeNumber } from '../../arguments.js';
import { helpText } from '../../help.js';
import { renderJson } from '../../render/json.js';

interface PlanOptions {
  readonly rate?: number;
  readonly before?: Before;
  readonly from?: string;
  readonly confidence: number;
  readonly attemptTime?: number;
  readonly forks: number;
  readonly json?: boolean;
}

interface Before {
  readonly failures: number;
  readonly attempts: number;
}

/** The number of clean attempts, and what they show. */
interface Plan {
  readonly cleanAttempts: number;
  readonly because: string;
  /** The number for a sequential test, by `--until`. */
  readonly watched?: { readonly goal: string; readonly cleanAttempts: number };
  readonly attemptMs?: number;
}

const HELP = `
A failure that occurs at some rate can be absent by chance. This command computes how many attempts must be clean, without any failure,
before chance is an unlikely explanation. Give one of --rate, --before and --from.`;

export function registerPlan(program: Command): void {
  program
    .command('plan')
    .description('compute how many clean attempts show that a failure is gone')
    .option('--rate <share>', 'failure rate: 0.03 or 3%', share)
    .option('--before <k/n>', 'k failures in n attempts: 6/10', before)
    .option('--from <dir>', 'failures and attempt time of a run directory')
    .option('--confidence <share>', 'confidence: 0.99 or 99%', share, 0.95)
    .option('--attempt-time <time>', 'duration of one attempt: 90s', duration)
    .option('--forks <n>', 'VMs in parallel', wholeNumber, 1)
    .option('--json', 'print one JSON line')
    .addHelpText('after', helpText(HELP))
    .action(async (options: PlanOptions) => {
      const plan = await makePlan(options);
      const attemptMs = options.attemptTime ?? plan.attemptMs;
      const totalMs = attemptMs === undefined ? undefined : Math.ceil(plan.cleanAttempts / options.forks) * attemptMs;
      if (options.json === true) {
        process.stdout.write(
          `${renderJson({ v: 1, type: 'plan', cleanAttempts: plan.cleanAttempts, confidence: options.confidence, watched: plan.watched, totalMs }, false)}\n`,
        );
        return;
      }
      const time =
        totalMs === undefined || attemptMs === undefined
          ? ''
          : `  at ${formatDuration(attemptMs)} each${options.forks > 1 ? `, ${options.forks} at a time` : ''}: ${formatDuration(totalMs)}\n`;
      const watched =
        plan.watched === undefined
          ? ''
          : `  if the run may stop after each attempt (--until '${plan.watched.goal}'): ${plan.watched.cleanAttempts}\n`;
      const text = `${plan.cleanAttempts} clean attempts without a failure\n  ${plan.because}\n${watched}${time}`;
      const { wrapLines } = await import('../../render/text/wrap.js');
      process.stdout.write(wrapLines(text, process.stdout.columns || undefined));
    });
}

async function makePlan({ rate, before: counted, from, confidence }: PlanOptions): Promise<Plan> {
  if ([rate, counted, from].filter((one) => one !== undefined).length !== 1) {
    throw new QmpilotError('USAGE', 'plan: give exactly one of --rate, --before and --from', {
      hint: 'for example --rate 3%, --before 6/10 or --from DIR',
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
      because: `a failure in ${shown(rate)} of attempts would not occur in any of them with a probability of ${chance}`,
      ...(watched !== null && { watched: { goal, cleanAttempts: watched } }),
    };
  }
  const run = from === undefined ? undefined : await ofRun(from);
  const seen = run ?? counted ?? { failures: 0, attempts: 0 };
  const because = `after ${seen.failures} failures in ${seen.attempts} attempts, they show with ${sure} confidence that the rate went down (Fisher's exact test, two-sided, as in qmpilot report BEFORE AFTER)`;
  return {
    cleanAttempts: cleanAttemptsNeededAfter(seen, confidence),
    because,
    ...(run?.attemptMs !== undefined && { attemptMs: run.attemptMs }),
  };
}

async function ofRun(dir: string): Promise<Before & { readonly attemptMs?: number }> {
  const { readRuns, reportData } = await import('@qmpilot/core/report');
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
    throw new InvalidArgumentError('It must be between 0 and 1, such as 0.03 or 3%.');
  }
}

function before(text: string): Before {
  const [, failures, attempts] = /^(\d{1,9})\/(\d{1,9})$/.exec(text) ?? [];
  const [k, n] = [Number(failures), Number(attempts)];
  if (k >= 1 && k <= n) return { failures: k, attempts: n };
  throw new InvalidArgumentError('It must be failures/attempts, such as 6/10.');
}

import type { Finding, Severity } from '../../detect/finding.js';
import { pause } from '../../util/async/deadline.js';
import { parseDuration, type Duration } from '../../util/time/duration.js';
import type { VmContext } from '../context.js';

/** A command whose failure in the guest is a finding. */
export interface CommandCheck {
  /** Kind of the finding: a word of your own, such as `corrupt`. */
  readonly kind: string;
  /** Is fine while it ends with exit code 0. It has 10 s; a run that takes longer tells nothing. */
  readonly command: string;
  /** Time between two runs; default 1 s. */
  readonly every?: Duration | undefined;
  /** Default `error`. */
  readonly severity?: Severity | undefined;
  /** Default: the command and its exit code. */
  readonly title?: string | undefined;
}

export interface CheckWatchOptions {
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly found: (findings: readonly Finding[]) => void;
}

const TIMEOUT_MS = 10_000;
const MAX_OUTPUT = 64 << 10;
const EVIDENCE_LINES = 20;

/**
 * Runs the command of a check at its interval until the signal fires. It gives one finding when the command begins to fail, and
 * another only after it has succeeded in between.
 * @throws {USAGE} when the guest has no console shell
 */
export function watchCheck(context: VmContext, check: CommandCheck, options: CheckWatchOptions): void {
  const everyMs = parseDuration(check.every ?? '1s', 'every');
  context.probeShell();
  void loop(context, check, everyMs, options);
}

async function loop(
  context: VmContext,
  check: CommandCheck,
  everyMs: number,
  { signal, now, found }: CheckWatchOptions,
): Promise<void> {
  let failing = false;
  while (!signal.aborted) {
    const exit = await run(context, check.command, signal);
    if (signal.aborted) return;
    if (exit !== undefined) {
      if (exit.code !== 0 && !failing) found([findingOf(check, exit, now())]);
      failing = exit.code !== 0;
    }
    await pause(everyMs, signal).catch(() => {});
  }
}

interface CheckExit {
  readonly code: number;
  readonly output: string;
}

/** Undefined when the guest does not answer, or is not running: that is not a verdict of the check. */
async function run(context: VmContext, command: string, signal: AbortSignal): Promise<CheckExit | undefined> {
  try {
    const shell = context.probeShell();
    const result = await shell.exec(command, { signal, timeout: TIMEOUT_MS, maxOutput: MAX_OUTPUT });
    return { code: result.exitCode, output: `${result.stdout}${result.stderr}` };
  } catch {
    return undefined;
  }
}

function findingOf(check: CommandCheck, { code, output }: CheckExit, at: number): Finding {
  const title =
    check.title ?? `check failed with exit code ${code}: ${check.command.replace(/\s+/g, ' ').slice(0, 120)}`;
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  return {
    kind: check.kind,
    severity: check.severity ?? 'error',
    title,
    signature: check.title ?? check.kind,
    at,
    evidence: [`$ ${check.command}`, ...lines.slice(-EVIDENCE_LINES), `exit code ${code}`],
  };
}

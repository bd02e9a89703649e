import type { MatcherState } from 'vitest';
import type { ScreenWaitOptions } from '../console/screen/screen-part.js';
import { findOnScreen } from '../console/screen/screen-wait.js';
import type { Screen } from '../console/screen/screen.js';
import { formatShutdown } from '../detect/shutdown/format-shutdown.js';
import { isQmpilotError, QmpilotError } from '../errors.js';
import { safeLine } from '../util/text/text-hygiene.js';
import type { PoweroffOptions } from '../vm/power/poweroff.js';
import { consoleDrained } from './drained.js';
import { describeFindings, kernelFindings, type KernelFindingsOptions } from './kernel-findings.js';
import { lastLines, requireScreen, requireVm, withinTest } from './received.js';

/** The result of a matcher. */
export interface MatcherResult {
  readonly pass: boolean;
  /** Returns the failure message; called only when it is shown. */
  readonly message: () => string;
}

const POWEROFF_MS = 180_000;
const SHOW_MS = 30_000;

async function toPowerOffCleanly(
  this: MatcherState,
  received: unknown,
  options: PoweroffOptions = {},
): Promise<MatcherResult> {
  const vm = requireVm(received, 'toPowerOffCleanly');
  const report = await vm.poweroff({ ...withinTest(vm, POWEROFF_MS), ...options });
  const story = [formatShutdown(report), ...lastLines(vm)].join('\n');
  if (report.outcome === 'killed')
    throw new QmpilotError('QEMU_EXITED', `cannot tell whether the guest powers off: ${story}`);
  return {
    pass: report.outcome === 'clean',
    message: () =>
      `expected the VM ${this.isNot ? 'not ' : ''}to power off cleanly, and it ${report.outcome === 'clean' ? 'did' : `did not: ${report.outcome}`}\n${story}`,
  };
}

async function toHaveNoKernelFindings(
  this: MatcherState,
  received: unknown,
  options: KernelFindingsOptions = {},
): Promise<MatcherResult> {
  const vm = requireVm(received, 'toHaveNoKernelFindings');
  await consoleDrained(vm, withinTest(vm, 0).signal);
  const found = kernelFindings(vm, options);
  return {
    pass: found.length === 0,
    message: () =>
      this.isNot
        ? ['expected reports of the kernel on the console, and there are none', ...lastLines(vm)].join('\n')
        : describeFindings(vm, found),
  };
}

async function toShow(
  this: MatcherState,
  received: unknown,
  pattern: string | RegExp,
  options: ScreenWaitOptions = {},
): Promise<MatcherResult> {
  const screen = requireScreen(received, 'toShow');
  const wait = { ...withinTest(received, SHOW_MS), ...options };
  const name = pattern instanceof RegExp ? String(pattern) : JSON.stringify(pattern);
  try {
    if (this.isNot)
      await screen.waitUntil(
        `${name} to go from the screen`,
        () => (findOnScreen(screen, pattern, options) ? undefined : true),
        wait,
      );
    else await screen.waitFor(pattern, wait);
    return { pass: !this.isNot, message: () => '' };
  } catch (error) {
    if (!isQmpilotError(error, 'TIMEOUT')) throw error;
    const hint = options.pane === undefined || error.hint === undefined ? '' : `; ${error.hint}`;
    const message = `expected the screen ${this.isNot ? 'not ' : ''}to show ${name}: ${error.message}${hint}\n${frame(screen)}`;
    return { pass: this.isNot, message: () => message };
  }
}

/** The screen as it is, with an edge, so that its empty rows and columns can be seen. */
function frame(screen: Screen): string {
  const rows = screen.text().split('\n');
  const edge = `+${'-'.repeat(screen.columns)}+`;
  return [edge, ...rows.map((row) => `|${safeLine(row).padEnd(screen.columns)}|`), edge].join('\n');
}

/** For `expect.extend`, with VMs that `createVmTest` did not make. */
export const vmMatchers = {
  /** Asks the guest to power off and follows it to its end. */
  toPowerOffCleanly,
  /** Waits until the console is drained, and takes what the kernel has reported. */
  toHaveNoKernelFindings,
  /** Waits until the screen shows a text, or with `.not` until it does not. */
  toShow,
};

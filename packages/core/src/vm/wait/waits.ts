import type { Console } from '../../console/console.js';
import type { ScreenPart } from '../../console/screen/screen-part.js';
import { isQmpilotError, QmpilotError } from '../../errors.js';
import type { ExecResult } from '../../shell/exec-result.js';
import { bashWord } from '../../shell/quote.js';
import type { Shell } from '../../shell/shell.js';
import { awaitWithin, poll, type PollOptions } from '../../util/async/deadline.js';

/** What of a vm a wait looks at. */
export interface WaitTarget {
  readonly console: Console;
  /** A shell that nobody's long command occupies. */
  readonly probeShell: () => Shell;
  readonly ended: Promise<QmpilotError>;
}

/** What one look found: the value that was waited for, or in words what was there instead, for the timeout's message. */
export type WaitState<T> = { readonly met: true; readonly value: T } | { readonly met: false; readonly saw: string };

/**
 * Something to wait for, as a value: `vm.waitFor` waits for it, `all` and `any` put several together. A `probe` that throws
 * ends the wait: what is awaited cannot come any more.
 */
export interface Wait<T = unknown> {
  readonly awaited: string;
  /** Looks once, without waiting; the signal fires when the wait is over. */
  readonly probe: (target: WaitTarget, signal: AbortSignal) => Promise<WaitState<T>>;
}

/** How long and how often a wait looks. */
export interface WaitForOptions extends Omit<PollOptions, 'interval'> {
  /** Between two looks, in ms; default 200. */
  readonly interval?: number | undefined;
}

/** One look may take this long on a busy guest; a longer one counts as "not yet". */
const PROBE_TIMEOUT = '20s';
const DEFAULT_TIMEOUT = '1m';

/** The body of `vm.waitFor`. */
export async function runWait<T>(target: WaitTarget, wait: Wait<T>, options: WaitForOptions = {}): Promise<T> {
  let saw = 'nothing yet';
  const details = () => ({ evidence: { saw, console: target.console.lastLines(20) } });
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  return awaitWithin<T>(
    { awaited: wait.awaited, defaultTimeout: DEFAULT_TIMEOUT, details },
    options,
    (resolve, reject) => {
      void target.ended.then(reject);
      poll({ awaited: wait.awaited }, { signal, interval: options.interval ?? 200 }, async (inner) => {
        const state = await wait.probe(target, inner);
        if (!state.met) saw = state.saw;
        return state.met ? { value: state.value } : undefined;
      }).then(({ value }) => resolve(value), reject);
      return () => stop.abort();
    },
  );
}

/** All of them, in whichever order; gives their values. One that cannot come any more ends the wait. */
export function all(...waits: readonly Wait[]): Wait<unknown[]> {
  return {
    awaited: `all of: ${waits.map(({ awaited }) => awaited).join('; ')}`,
    async probe(target, signal) {
      const states = await Promise.all(waits.map((wait) => wait.probe(target, signal)));
      const missing = states.flatMap((state, index) => (state.met ? [] : [`${waits[index]?.awaited}: ${state.saw}`]));
      return missing.length > 0
        ? { met: false, saw: missing.join('; ') }
        : { met: true, value: states.map((state) => (state.met ? state.value : undefined)) };
    },
  };
}

/** The first of them: gives its number and value. One that cannot come any more is left out; when none is left, the wait ends. */
export function any(...waits: readonly Wait[]): Wait<{ readonly index: number; readonly value: unknown }> {
  return {
    awaited: `any of: ${waits.map(({ awaited }) => awaited).join('; ')}`,
    async probe(target, signal) {
      const looks = await Promise.allSettled(waits.map((wait) => wait.probe(target, signal)));
      const saw: string[] = [];
      for (const [index, look] of looks.entries()) {
        if (look.status === 'rejected') saw.push(`${waits[index]?.awaited}: ${String(look.reason)}`);
        else if (look.value.met) return { met: true, value: { index, value: look.value.value } };
        else saw.push(`${waits[index]?.awaited}: ${look.value.saw}`);
      }
      const lost = looks.find((look) => look.status === 'rejected');
      if (lost && looks.every((look) => look.status === 'rejected')) throw lost.reason;
      return { met: false, saw: saw.join('; ') };
    },
  };
}

/**
 * Until `probe` gives something that is neither `undefined`, `null` nor `false`. An error it throws means "not yet", and is
 * shown when time runs out.
 */
export function until<T>(
  probe: (signal: AbortSignal) => T | Promise<T>,
  awaited = 'the condition',
): Wait<Exclude<T, undefined | null | false>> {
  return {
    awaited,
    async probe(_, signal) {
      try {
        const value = await probe(signal);
        if (isThere(value)) return { met: true, value };
        return { met: false, saw: `it gave ${String(value)}` };
      } catch (error) {
        if (signal.aborted || isQmpilotError(error, 'QEMU_EXITED') || isQmpilotError(error, 'CLOSED')) throw error;
        return { met: false, saw: `it threw ${error instanceof Error ? error.message : String(error)}` };
      }
    },
  };
}

function isThere<T>(value: T): value is Exclude<T, undefined | null | false> {
  return value !== undefined && value !== null && value !== false;
}

/** How a systemd unit is waited for. */
export interface UnitWait {
  /** What is waited for; default `active`. */
  readonly state?: 'active' | 'inactive' | 'failed';
}

/**
 * A systemd unit is active (`name` without a suffix is a service).
 * @throws {UNIT_FAILED} at once when it failed, with its last log lines
 * @throws {NOT_FOUND} at once when there is no such unit
 */
export function waitForUnit(
  name: string,
  { state = 'active' }: UnitWait = {},
): Wait<{ readonly unit: string; readonly sub: string }> {
  const unit = /\.[a-z]+$/.test(name) ? name : `${name}.service`;
  return {
    awaited: `the unit ${unit} to be ${state}`,
    async probe(target, signal) {
      const shown = await look(
        target,
        signal,
        `systemctl show -p LoadState,ActiveState,SubState,Result,ExecMainStatus,Job -- ${bashWord(unit)}`,
      );
      if (typeof shown === 'string') return { met: false, saw: shown };
      const fields = new Map(
        shown.stdout.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      );
      const [load, active, sub = ''] = ['LoadState', 'ActiveState', 'SubState'].map((field) => fields.get(field));
      if (active === undefined) return { met: false, saw: `systemctl: ${shown.stderr.trim() || 'no answer'}` };
      if (load === 'not-found')
        throw new QmpilotError('NOT_FOUND', `there is no unit ${unit} in the guest`, {
          hint: '`systemctl list-unit-files` shows those there are',
        });
      if (active === state) return { met: true, value: { unit, sub } };
      if (active === 'failed')
        throw await unitFailed(target, signal, unit, `${fields.get('Result')}, status ${fields.get('ExecMainStatus')}`);
      return {
        met: false,
        saw: `${active} (${sub})${fields.get('Job') ? ', with a job queued' : ', and no job is queued for it'}`,
      };
    },
  };
}

async function unitFailed(target: WaitTarget, signal: AbortSignal, unit: string, why: string): Promise<QmpilotError> {
  const log = await look(target, signal, `journalctl -q -o cat -n 20 --no-pager -u ${bashWord(unit)}`);
  const lines = typeof log === 'string' ? [] : log.stdout.split('\n').filter((line) => line !== '');
  // Its own last words, not systemd's about it.
  const own = lines.findLast(
    (line) => !line.startsWith(`${unit}: `) && !/^(?:Started|Starting|Stopped|Failed to start) /.test(line),
  );
  return new QmpilotError(
    'UNIT_FAILED',
    `the unit ${unit} failed: ${why}${own === undefined ? '' : `; it said last: ${own}`}`,
    {
      evidence: { log: lines },
      hint: 'the last lines of its log are in error.evidence.log',
    },
  );
}

/** Something in the guest takes TCP connections on this port of `host` (as the guest sees it; 127.0.0.1 by default). */
export function waitForPort(port: number, { host = '127.0.0.1' }: { readonly host?: string } = {}): Wait<number> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new QmpilotError('USAGE', `${port} is not a TCP port`);
  const connect = `: < /dev/tcp/${host}/${port}`;
  return {
    awaited: `port ${port} of ${host} in the guest`,
    async probe(target, signal) {
      const tried = await look(target, signal, `timeout 5 bash -c ${bashWord(connect)}`);
      if (typeof tried === 'string') return { met: false, saw: tried };
      if (tried.exitCode === 0) return { met: true, value: port };
      return { met: false, saw: tried.exitCode === 124 ? 'no answer within 5 s' : lastWords(tried) };
    },
  };
}

/** The path exists in the guest; with `gone`, it does not any more. */
export function waitForFile(path: string, { gone = false }: { readonly gone?: boolean } = {}): Wait<string> {
  const word = bashWord(path);
  return {
    awaited: `${path} to ${gone ? 'be gone' : 'exist'} in the guest`,
    async probe(target, signal) {
      const shown = await look(target, signal, `ls -ld -- ${word} || { [ -e ${word} ] || [ -L ${word} ]; }`);
      if (typeof shown === 'string') return { met: false, saw: shown };
      if ((shown.exitCode === 0) !== gone) return { met: true, value: path };
      return { met: false, saw: gone ? shown.stdout.trim() : lastWords(shown) };
    },
  };
}

export interface TextWait extends ScreenPart {
  /** `console` (default): what was printed since the last match of `console.expect`, which it leaves where it is. `screen`: what is shown. */
  readonly on?: 'console' | 'screen';
}

/** The serial console printed the text, or its screen (a row, region or pane of it) shows it. Gives what matched. */
export function waitForText(pattern: string | RegExp, options: TextWait = {}): Wait<string> {
  const onScreen =
    options.on === 'screen' || options.pane !== undefined || options.row !== undefined || options.region !== undefined;
  return {
    awaited: `${pattern instanceof RegExp ? pattern : JSON.stringify(pattern)} on the ${onScreen ? 'screen' : 'console'}`,
    async probe({ console }, signal) {
      try {
        const found = onScreen
          ? await console.screen.waitFor(pattern, { ...options, timeout: 200, signal })
          : await console.expect(pattern, { timeout: 0, signal, consume: false });
        return { met: true, value: found.text };
      } catch (error) {
        if (!isQmpilotError(error, 'TIMEOUT')) throw error;
        const rows = onScreen ? console.screen.rows().filter((row) => row !== '') : console.lastLines(1);
        return { met: false, saw: rows.length === 0 ? 'nothing' : `${JSON.stringify(rows.slice(-3).join(' / '))}` };
      }
    },
  };
}

/** A command's result, or why there is none for now. */
async function look(target: WaitTarget, signal: AbortSignal, command: string): Promise<ExecResult | string> {
  try {
    return await target.probeShell().exec(command, { signal, patience: PROBE_TIMEOUT });
  } catch (error) {
    if (!signal.aborted && (isQmpilotError(error, 'TIMEOUT') || isQmpilotError(error, 'SHELL_LOST')))
      return error.message;
    throw error;
  }
}

function lastWords({ stderr, exitCode }: ExecResult): string {
  return stderr.trim().split('\n').at(-1) || `exit code ${exitCode}`;
}

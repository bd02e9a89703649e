import { QmpilotError } from '../errors.js';
import type { GuestDescription } from '../guests/guest.js';
import type { Duration } from '../util/time/duration.js';
import { isObject } from '../util/validation/is-object.js';
import type { PoweroffOptions } from '../vm/power/poweroff.js';
import type { BootOptions } from '../vm/start/boot-options.js';
import type { Vm } from '../vm/vm.js';
import { checkWatchSpec, type WatchSpec } from '../vm/watch/watch-spec.js';
import type { Watch } from '../vm/watch/watch.js';
import type { ScenarioFinding } from './scenario-finding.js';

/** Second argument of `attempt`. */
export interface AttemptContext {
  /** Fires when the attempt's time is up, the VM died, or the run is interrupted. */
  readonly signal: AbortSignal;
  /** 1, 2, 3, ... */
  readonly index: number;
  /** A whole number below 2^48, another for each attempt, the same again for the same seed of the run. */
  readonly seed: number;
  /** The detectors of `detect`, active since the attempt began. */
  readonly watch: Watch;
  /** A line for users and for the journal. */
  readonly note: (text: string) => void;
  /** Writes a text to a file of the attempt. @throws {USAGE} for a name that is not a plain file name */
  readonly attach: (name: string, text: string) => void;
  /**
   * Adds a finding of the scenario's own; severity `error` makes the attempt `reproduced`.
   * @throws {USAGE} for a finding with an invalid part
   */
  readonly report: (finding: ScenarioFinding) => void;
  /**
   * Ends the attempt as `reproduced`: adds a finding of severity `error`, then throws.
   * @throws always
   */
  readonly fail: (title: string, options?: FailOptions) => never;
  /**
   * Takes a checkpoint at this moment of the attempt, when the run keeps checkpoints, and does nothing else. A checkpoint that cannot be
   * taken is noted in the journal, and the attempt goes on.
   * @throws {USAGE} for a name that is not one line of text
   */
  readonly checkpoint: (mark: string) => Promise<void>;
}

/** Second argument of `fromCheckpoint`. Its `checkpoint()` does nothing. */
export interface FromCheckpointContext extends AttemptContext {
  /** The checkpoint that the VM is a fork of. */
  readonly from: {
    /** When it was taken, in ms since the attempt began. */
    readonly at: number;
    /** What `attempt` called this moment, if it did. */
    readonly mark?: string;
  };
}

/** Optional parts of a failure. */
export interface FailOptions {
  /** Lines that show the failure; default none. */
  readonly evidence?: readonly string[] | undefined;
  /** Failures with the same signature are counted together; default the title. Leave out process ids and times. */
  readonly signature?: string | undefined;
}

/** Second argument of `prepare`. */
export interface PrepareContext {
  /** Fires when the run is interrupted. */
  readonly signal: AbortSignal;
  /** A line for users and for the journal. */
  readonly note: (text: string) => void;
}

/** A scenario of `qmpilot repro`: a guest, its preparation, an attempt that is repeated, and detectors of failures. */
export interface Scenario {
  readonly name?: string;
  readonly guest: GuestDescription;
  /** Other guests that it runs on, by name: `qmpilot repro --guest NAME` takes one in place of `guest`. */
  readonly guests?: Readonly<Record<string, GuestDescription>>;
  /** Boot options of the guest: accelerator, cpus, memory, ... */
  readonly boot?: Omit<BootOptions, 'signal' | 'onProgress' | 'onStart'>;
  /** Once after boot; what it leaves is the snapshot that every attempt starts from. */
  prepare?(vm: Vm, context: PrepareContext): Promise<void>;
  /**
   * `attempt` reboots the guest: the snapshot keeps the kernel of a guest that boots by `-kernel`, as `debian()` does. Each VM
   * then holds 16 MiB more. Default false.
   */
  readonly reboots?: boolean;
  /**
   * Saves the prepared guest in the cache, so that the next run starts with its first attempt, without booting. Default `true`
   * without a `prepare`, else `false`: what `prepare` leaves in variables or reads from files is not in the snapshot. Set it to
   * `true` when all its results are in the guest.
   */
  readonly cache?: boolean;
  /** One try, on a guest just restored. Returning, or running out of time, without a finding is `clean`; see `failOn` for throwing. */
  attempt(vm: Vm, context: AttemptContext): Promise<void>;
  /**
   * The rest of an attempt, for `qmpilot when`: gets a fork of a checkpoint, in which all that ran in the guest goes on, and judges it as
   * `attempt` would have, to its end. `attempt` itself cannot go on in its middle. Default: waits for the detectors of `detect`, three times as
   * long as the failing attempt still needed from that checkpoint.
   */
  fromCheckpoint?(vm: Vm, context: FromCheckpointContext): Promise<void>;
  /**
   * Detectors; `poweroff` powers the guest off after the attempt, and a stall is a finding. `dump` keeps the guest's memory of the first attempt of a
   * run with a panic, an oops or a hang as `memory.elf` of the attempt, which is as large as the memory; default false.
   */
  readonly detect?: WatchSpec & {
    readonly poweroff?: Pick<PoweroffOptions, 'timeout' | 'via'>;
    readonly dump?: boolean;
  };
  /**
   * What makes an attempt `reproduced`. `'finding'` (default): a finding of severity `error`, by a detector, `report()` or `fail()`;
   * an attempt that throws is `inconclusive`. `'throw'`: also an error that `attempt` throws, unless it means that qmpilot could not
   * tell (QEMU died, a shell was lost, an invalid argument). Failed commands, assertions and waits that timed out count.
   */
  readonly failOn?: 'finding' | 'throw';
  /** Time limit of `attempt`, without the time in which this process was stopped; default 3 min. The poweroff has its own limit. */
  readonly timeout?: Duration;
}

/** Shared by several copies of this module: another one may load the scenario. */
const BRAND = Symbol.for('qmpilot.scenario');

/** Known keys by their place. A scenario file runs without a type check, so a misspelled `prepare` would be ignored. */
const KNOWN = {
  '': [
    'name',
    'guest',
    'guests',
    'boot',
    'prepare',
    'reboots',
    'cache',
    'attempt',
    'fromCheckpoint',
    'detect',
    'failOn',
    'timeout',
  ],
  'detect': ['kernelLog', 'hungTask', 'dState', 'silence', 'console', 'checks', 'poweroff', 'dump'],
  'detect.dState': ['comm', 'for', 'interval'],
  'detect.silence': ['for'],
  'detect.poweroff': ['timeout', 'via'],
} as const;

/**
 * Marks and checks a scenario; a scenario file exports it as default.
 * @throws {SCENARIO} naming what is missing or unknown
 */
export function defineScenario(scenario: Scenario): Scenario {
  const given: Readonly<Record<string, unknown>> = { ...scenario };
  const fault = (what: string, hint: string) => new QmpilotError('SCENARIO', `this scenario ${what}`, { hint });
  const guest = given['guest'];
  if (typeof guest !== 'object' || guest === null || !('prepare' in guest))
    throw fault('names no guest', 'guest: debian()');
  if (typeof given['attempt'] !== 'function') throw fault('has no attempt', 'async attempt(vm, { signal }) { ... }');
  if (given['prepare'] !== undefined && typeof given['prepare'] !== 'function')
    throw fault('has a prepare that is not a function', 'async prepare(vm) { ... }');
  if (given['fromCheckpoint'] !== undefined && typeof given['fromCheckpoint'] !== 'function')
    throw fault('has a fromCheckpoint that is not a function', 'async fromCheckpoint(vm, { signal, from }) { ... }');
  const { failOn } = given;
  if (failOn !== undefined && failOn !== 'finding' && failOn !== 'throw')
    throw fault(`has failOn: ${JSON.stringify(failOn)}`, "failOn is 'finding' (default) or 'throw'");
  for (const [place, known] of Object.entries(KNOWN)) {
    const part = place
      .split('.')
      .reduce<unknown>((value, key) => (key === '' ? value : isObject(value) ? value[key] : undefined), given);
    const names: readonly string[] = known;
    const strange = isObject(part) ? Object.keys(part).find((key) => !names.includes(key)) : undefined;
    if (strange !== undefined)
      throw fault(
        `has ${JSON.stringify(place === '' ? strange : `${place}.${strange}`)}, which is unknown`,
        `there are: ${names.join(', ')}`,
      );
  }
  const { poweroff: _, dump, ...detect } = scenario.detect ?? {};
  if (dump !== undefined && typeof dump !== 'boolean')
    throw fault(`has detect.dump: ${JSON.stringify(dump)}`, 'detect.dump is true or false (default)');
  try {
    checkWatchSpec(detect, 'detect');
  } catch (error) {
    if (error instanceof QmpilotError)
      throw fault(`is invalid: ${error.message}`, error.hint ?? 'see docs/detectors.md');
    throw error;
  }
  return Object.defineProperty(scenario, BRAND, { value: true });
}

/**
 * Returns the scenario with another of its guests.
 * @throws {USAGE} when it has none of this name
 */
export function onGuest(scenario: Scenario, name: string): Scenario {
  const guests = scenario.guests ?? {};
  const guest = Object.hasOwn(guests, name) ? guests[name] : undefined;
  if (guest) return defineScenario({ ...scenario, guest });
  const names = Object.keys(guests);
  throw new QmpilotError('USAGE', `this scenario has no guest ${JSON.stringify(name)}`, {
    hint:
      names.length > 0
        ? `it has: ${names.join(', ')}`
        : 'it runs on its own guest only: leave --guest out, or add guests: { ... } to it',
  });
}

/**
 * The same scenario on another kernel.
 * @throws {USAGE} when its guest cannot have another one, or for an invalid kernel
 */
export function onKernel(scenario: Scenario, kernel: string): Scenario {
  const guest = scenario.guest.withKernel?.(kernel);
  if (guest) return defineScenario({ ...scenario, guest });
  throw new QmpilotError('USAGE', `the guest ${scenario.guest.name} cannot boot another kernel by --kernel`, {
    hint: 'only debian() can; name the kernel in the description of the guest',
  });
}

/** Whether a value, as a file exported it, is a scenario. */
export function isScenario(value: unknown): value is Scenario {
  return typeof value === 'object' && value !== null && BRAND in value;
}

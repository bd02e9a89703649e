import type { TaskRef } from '../finding.js';
import { parseTimeSpan } from './time-span.js';

/** A job of systemd that ran while the system went down. */
export interface ShutdownJob {
  /** `user@0.service`; absent when only the description is known. */
  readonly unit?: string;
  readonly description?: string;
  readonly slice?: string;
  /** Path below /sys/fs/cgroup. */
  readonly cgroup?: string;
  /** `stop`, `start`, ... */
  readonly type: string;
  /** How long it had been running when last seen, in ms. */
  readonly elapsed: number;
  /** When it was last seen, in ms on the detector's clock. */
  readonly seenAt: number;
  /** systemd's limit when last seen, in ms; absent where there is none. */
  readonly limit?: number;
  /** Every limit in the order seen: it grows. */
  readonly limits: readonly number[];
  readonly ended: boolean;
  /** Processes left in its control group, where that could be read. */
  readonly processes?: readonly TaskRef[];
}

interface Job {
  unit: string | undefined;
  description: string | undefined;
  type: string;
  elapsed: number;
  seenAt: number;
  /** Since when it is known, for jobs whose time systemd does not show. */
  readonly since: number;
  shown: boolean;
  limit: number | undefined;
  readonly limits: number[];
  ended: boolean;
}

interface Unit {
  readonly description: string | undefined;
  readonly slice: string | undefined;
  readonly cgroup: string | undefined;
  readonly limit: number | undefined;
}

const MAX_JOBS = 256;
const MAX_LIMITS = 64;
const MAX_UNITS = 1024;
const MAX_PROCESSES = 64;
/** systemd's special_glyph(): the second where the console knows no UTF-8. */
const ELLIPSES = ['…', '...'] as const;

/** Merges what the console, `systemctl list-jobs` and `systemctl show` report about the same jobs. */
export class StopJobs {
  readonly #jobs: Job[] = [];
  readonly #units = new Map<string, Unit>();
  readonly #processes = new Map<string, readonly TaskRef[]>();

  /** A job that systemd drew on the console. */
  drawn(
    seen: {
      readonly unit?: string;
      readonly description?: string;
      readonly job: string;
      readonly elapsed: number;
      readonly limit?: number;
    },
    atMs: number,
  ): void {
    const job = this.#find(seen.unit, seen.description) ?? this.#add(seen.unit, seen.description, seen.job, atMs);
    if (job === undefined) return;
    if (seen.description !== undefined && isShortened(job.description)) job.description = seen.description;
    job.type = seen.job;
    job.elapsed = seen.elapsed;
    job.seenAt = atMs;
    job.shown = true;
    job.ended = false;
    setLimit(job, seen.limit);
  }

  /** `systemctl list-jobs --no-legend --plain`: number, unit, type, state. */
  listed(text: string, atMs: number): void {
    const running = new Set<Job>();
    let complete = false;
    for (const line of text.split(/\r?\n/).slice(0, 4096)) {
      const match = /^ *(\d{1,10}) +(\S{1,256}) +([a-z-]{1,24}) +(running|waiting)\b/.exec(line);
      if (match === null) {
        complete ||= line.trim() === 'No jobs running.';
        continue;
      }
      complete = true;
      if (match[4] !== 'running') continue;
      const unit = match[2] ?? '';
      const job =
        this.#find(unit, this.#units.get(unit)?.description) ?? this.#add(unit, undefined, match[3] ?? 'stop', atMs);
      if (job === undefined) continue;
      job.unit = unit;
      job.ended = false;
      if (!job.shown) job.seenAt = atMs;
      if (!job.shown) job.elapsed = atMs - job.since;
      running.add(job);
    }
    if (!complete) return;
    for (const job of this.#jobs) if (!running.has(job)) job.ended = true;
  }

  /** `systemctl show UNIT...`: blocks of `Name=value`. */
  shown(text: string): void {
    for (const block of text.split(/\r?\n\r?\n/).slice(0, MAX_UNITS)) {
      const values = new Map<string, string>();
      for (const line of block.split(/\r?\n/)) {
        const split = line.indexOf('=');
        if (split > 0) values.set(line.slice(0, split), line.slice(split + 1).slice(0, 1024));
      }
      const id = values.get('Id');
      if (id === undefined || id === '') continue;
      this.#know(id, {
        description: present(values.get('Description')),
        slice: present(values.get('Slice')),
        cgroup: present(values.get('ControlGroup')),
        limit: parseTimeSpan(values.get('TimeoutStopUSec') ?? ''),
      });
    }
  }

  holds(unit: string, processes: readonly TaskRef[]): void {
    if (this.#processes.size < MAX_UNITS || this.#processes.has(unit))
      this.#processes.set(unit, processes.slice(0, MAX_PROCESSES));
  }

  /** `Stopping UNIT - DESCRIPTION...` names both. */
  named(unit: string, description: string): void {
    if (isShortened(unit) || isShortened(description)) return;
    const known = this.#units.get(unit);
    if (known === undefined) this.#know(unit, { description, slice: undefined, cgroup: undefined, limit: undefined });
  }

  /** systemd no longer waits for the unit to stop by itself. */
  timedOut(unit: string, atMs: number): void {
    if (this.#find(unit, this.#units.get(unit)?.description) === undefined) this.#add(unit, undefined, 'stop', atMs);
  }

  /** A process of the unit was killed. */
  killed(unit: string, task: TaskRef): void {
    const known = this.#processes.get(unit) ?? [];
    if (!known.some(({ pid }) => pid === task.pid)) this.holds(unit, [...known, task]);
  }

  stopped(unit: string | undefined, description: string): void {
    const job = this.#find(unit, description);
    if (job !== undefined) job.ended = true;
  }

  /** The unit phase is over. */
  endAll(): void {
    for (const job of this.#jobs) job.ended = true;
  }

  /** Running ones first, the longest first. */
  all(): ShutdownJob[] {
    return this.#jobs
      .toSorted((one, other) => Number(one.ended) - Number(other.ended) || other.elapsed - one.elapsed)
      .map((job) => this.#describe(job));
  }

  #describe(job: Job): ShutdownJob {
    const unit = job.unit ?? this.#unitCalled(job.description) ?? guessUnit(job.description);
    const known = unit === undefined ? undefined : this.#units.get(unit);
    const whole = isShortened(job.description) ? undefined : job.description;
    const description = known?.description ?? whole ?? job.description;
    const slice = known?.slice ?? guessSlice(unit, description);
    const processes = unit === undefined ? undefined : this.#processes.get(unit);
    const limit = job.limit ?? (job.shown ? undefined : known?.limit);
    return {
      ...(unit === undefined ? {} : { unit }),
      ...(description === undefined ? {} : { description }),
      ...(slice === undefined ? {} : { slice }),
      ...(known?.cgroup === undefined ? {} : { cgroup: known.cgroup }),
      type: job.type,
      elapsed: job.elapsed,
      seenAt: job.seenAt,
      ...(limit === undefined ? {} : { limit }),
      limits: job.limits.length > 0 || limit === undefined ? [...job.limits] : [limit],
      ended: job.ended,
      ...(processes === undefined ? {} : { processes }),
    };
  }

  #find(unit: string | undefined, description: string | undefined): Job | undefined {
    return this.#jobs.find((job) => {
      if (unit !== undefined && job.unit !== undefined) return sameText(unit, job.unit);
      if (description !== undefined && job.description !== undefined) return sameText(description, job.description);
      const name = unit ?? job.unit;
      const text = description ?? job.description;
      if (name === undefined || text === undefined) return false;
      const known = this.#units.get(name)?.description;
      return (known !== undefined && sameText(known, text)) || guessUnit(text) === name;
    });
  }

  #unitCalled(description: string | undefined): string | undefined {
    if (description === undefined) return undefined;
    for (const [unit, known] of this.#units) {
      if (known.description !== undefined && sameText(known.description, description)) return unit;
    }
    return undefined;
  }

  #add(unit: string | undefined, description: string | undefined, type: string, atMs: number): Job | undefined {
    if (this.#jobs.length >= MAX_JOBS) return undefined;
    const job: Job = {
      unit,
      description,
      type,
      elapsed: 0,
      seenAt: atMs,
      since: atMs,
      shown: false,
      limit: undefined,
      limits: [],
      ended: false,
    };
    this.#jobs.push(job);
    return job;
  }

  #know(unit: string, about: Unit): void {
    if (this.#units.size < MAX_UNITS || this.#units.has(unit)) this.#units.set(unit, about);
  }
}

function setLimit(job: Job, limit: number | undefined): void {
  job.limit = limit;
  if (limit !== undefined && job.limits.at(-1) !== limit && job.limits.length < MAX_LIMITS) job.limits.push(limit);
}

/** Equal, or one is the other as systemd shortens it to the console's width. */
function sameText(one: string, other: string): boolean {
  if (one === other) return true;
  return fits(one, other) || fits(other, one);
}

function fits(shortened: string, whole: string): boolean {
  return ELLIPSES.some((ellipsis) => {
    const cut = shortened.indexOf(ellipsis);
    if (cut === -1) return false;
    const [head, tail] = [shortened.slice(0, cut), shortened.slice(cut + ellipsis.length)];
    return whole.length >= head.length + tail.length && whole.startsWith(head) && whole.endsWith(tail);
  });
}

function isShortened(text: string | undefined): boolean {
  return text !== undefined && ELLIPSES.some((ellipsis) => text.includes(ellipsis));
}

function present(text: string | undefined): string | undefined {
  return text === undefined || text === '' || text === '[not set]' ? undefined : text;
}

/** Names that systemd and logind make by rule: units/user@.service.in, src/login/logind-session.c. */
function guessUnit(description: string | undefined): string | undefined {
  if (description === undefined) return undefined;
  const user = /^User Manager for UID (\d{1,10})$/.exec(description)?.[1];
  if (user !== undefined) return `user@${user}.service`;
  const session = /^Session (\w{1,16}) of [Uu]ser /.exec(description)?.[1];
  return session === undefined ? undefined : `session-${session}.scope`;
}

function guessSlice(unit: string | undefined, description: string | undefined): string | undefined {
  const user = unit === undefined ? undefined : /^user(?:-runtime-dir)?@(\d{1,10})\.service$/.exec(unit)?.[1];
  if (user !== undefined) return `user-${user}.slice`;
  const root = description !== undefined && /^Session \w{1,16} of [Uu]ser root$/.test(description);
  return root ? 'user-0.slice' : undefined;
}

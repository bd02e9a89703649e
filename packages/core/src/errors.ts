/**
 * Every error that qmpilot throws. What a guest did is data (a finding, an exit code); an error means that
 * qmpilot could not do, or could not tell, what it was asked.
 */
export type ErrorCode =
  /** A wait ended before what it waited for happened. */
  | 'TIMEOUT'
  /** The caller's AbortSignal fired. */
  | 'ABORTED'
  /** An argument, option, scenario or file is not of the form it must have. */
  | 'USAGE'
  /** A program that is needed on the host is not there, or too old. */
  | 'TOOL_MISSING'
  /** QEMU ended although nobody asked it to. */
  | 'QEMU_EXITED'
  /** QEMU could not be started at all (its own message is in the error). */
  | 'QEMU_START'
  /** A QMP command was answered with an error. */
  | 'QMP_COMMAND'
  /** The QMP link ended, or what came over it is not QMP. */
  | 'QMP_LINK'
  /** A QMP job concluded with an error. */
  | 'QMP_JOB'
  /** A console, or the shell behind it, ended or cannot be used. */
  | 'CONSOLE_CLOSED'
  /** A command in the guest ended with another status than was asked for. */
  | 'COMMAND_FAILED'
  /** What was named is not there in the guest: a process, a unit. */
  | 'NOT_FOUND'
  /** A unit of the guest that was waited for has failed. */
  | 'UNIT_FAILED'
  /** A guest image could not be built. */
  | 'GUEST_BUILD'
  /** A command in the guest gave more output than was allowed; it was killed. */
  | 'OUTPUT_LIMIT'
  /** A file or tree could not be copied into or out of the guest, or what came is no honest archive. */
  | 'COPY_FAILED'
  /** No shell of the guest answers. */
  | 'SHELL_LOST'
  /** A snapshot cannot be made, is not there, or does not fit this QEMU. */
  | 'SNAPSHOT'
  /** The host has no room (disk, memory, descriptors). */
  | 'NO_SPACE'
  /** The object was closed. */
  | 'CLOSED'
  /** The scenario file cannot be loaded, or a part of it threw. */
  | 'SCENARIO';

/** What was seen instead of what was awaited. Guest text in it is data: escape it before showing it. */
export interface ErrorEvidence {
  /** Last lines of the console, oldest first. */
  readonly console?: readonly string[];
  /** Last lines of QEMU's or another program's standard error. */
  readonly stderr?: readonly string[];
  /** What the last look found instead, in words. */
  readonly saw?: string;
  /** Anything else that helps, by name. */
  readonly [name: string]: unknown;
}

/** What an error may carry beside its message. */
export interface ErrorDetails {
  readonly cause?: unknown;
  /** What to do next, as one sentence. */
  readonly hint?: string;
  readonly evidence?: ErrorEvidence;
}

/** The base of the family: `code` tells the kind, `hint` what to do next, `evidence` what was seen. */
export class QmpilotError extends Error {
  override readonly name: string = 'QmpilotError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly evidence: ErrorEvidence;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.evidence = details.evidence ?? {};
  }
}

/** A wait ran out of time. `awaited` and `waitedMs` say for what and how long, `starvedMs` for how much of it a QEMU of ours got no processor. */
export class TimeoutError extends QmpilotError {
  override readonly name = 'TimeoutError';
  readonly awaited: string;
  readonly waitedMs: number;
  readonly starvedMs: number;

  constructor(
    awaited: string,
    waitedMs: number,
    { starvedMs = 0, ...details }: ErrorDetails & { readonly starvedMs?: number } = {},
  ) {
    const starved =
      starvedMs < 100 ? '' : `; QEMU was starved of a processor, or stopped, for ${formatMs(starvedMs)} of it`;
    const saw = details.evidence?.saw;
    const seen = saw === undefined ? '' : `; last seen: ${saw.length > 500 ? `${saw.slice(0, 500)}...` : saw}`;
    super('TIMEOUT', `waited ${formatMs(waitedMs)} for ${awaited}, in vain${starved}${seen}`, details);
    this.starvedMs = starvedMs;
    this.awaited = awaited;
    this.waitedMs = waitedMs;
  }
}

/** The caller's signal fired while something was awaited; `cause` is the signal's reason. */
export class AbortedError extends QmpilotError {
  override readonly name = 'AbortedError';

  constructor(awaited: string, reason: unknown, details: ErrorDetails = {}) {
    super('ABORTED', `interrupted while waiting for ${awaited}`, { ...details, cause: reason });
  }
}

/** QMP's `{"error": ...}`: `qmpClass` and `desc` are QEMU's own words. */
export class QmpCommandError extends QmpilotError {
  override readonly name = 'QmpCommandError';
  readonly command: string;
  readonly qmpClass: string;
  readonly desc: string;

  constructor(command: string, qmpClass: string, desc: string, details: ErrorDetails = {}) {
    super('QMP_COMMAND', `${command}: ${desc}`, details);
    this.command = command;
    this.qmpClass = qmpClass;
    this.desc = desc;
  }
}

/** Whether it is an error of this library, and of this code if one is named. */
export function isQmpilotError(error: unknown, code?: ErrorCode): error is QmpilotError {
  return error instanceof QmpilotError && (code === undefined || error.code === code);
}

/** `850 ms`, `12.3 s`, `2 min 5 s`: durations as messages show them. */
function formatMs(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

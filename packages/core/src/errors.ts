import { formatDuration } from './util/text/format.js';

/**
 * The codes of all errors thrown by qmpilot. What a guest does is data (a finding, an exit code); an error means that
 * qmpilot could not do what it was asked to do, or could not tell the result.
 */
export type ErrorCode =
  /** A wait ran out of time. */
  | 'TIMEOUT'
  /** The `AbortSignal` of the caller fired. */
  | 'ABORTED'
  /** An argument, option, scenario or file is invalid. */
  | 'USAGE'
  /** Something named by the caller does not exist: a snapshot, VM, image or run on the host; a process or unit in the guest. */
  | 'NOT_FOUND'
  /** Something with this name or path exists already and is not replaced. */
  | 'ALREADY_EXISTS'
  /** The host refused to read or write a file, folder or socket; `cause` is the error of the system call. */
  | 'IO'
  /** The host has no more disk space, quota, memory or file descriptors (ENOSPC, EDQUOT, ENOMEM, EMFILE). */
  | 'NO_SPACE'
  /** A program needed on the host is not installed, or too old. */
  | 'TOOL_MISSING'
  /** QEMU could not be started; its own message is in the error. */
  | 'QEMU_START'
  /** QEMU ended unexpectedly. */
  | 'QEMU_EXITED'
  /** QEMU answered a QMP command with an error. */
  | 'QMP_COMMAND'
  /** The QMP connection failed or ended, or the peer does not speak QMP. */
  | 'QMP_LINK'
  /** A QMP job ended with an error. */
  | 'QMP_JOB'
  /** A console, or the shell on it, ended or cannot be used. */
  | 'CONSOLE_CLOSED'
  /** A shell of the guest does not answer any more. */
  | 'SHELL_LOST'
  /** A command in the guest ended with an exit status other than 0. */
  | 'COMMAND_FAILED'
  /** A command in the guest that had to fail ended with exit status 0. */
  | 'COMMAND_SUCCEEDED'
  /** A command in the guest wrote more output than allowed and was killed. */
  | 'OUTPUT_LIMIT'
  /** A file or tree could not be copied to or from the guest, or the guest sent an unsafe archive. */
  | 'COPY_FAILED'
  /** A systemd unit that was waited for has failed. */
  | 'UNIT_FAILED'
  /** A guest image could not be built. */
  | 'GUEST_BUILD'
  /** A snapshot cannot be taken, or does not fit this QEMU or this host. */
  | 'SNAPSHOT'
  /** A scenario file cannot be loaded, or a function in it threw. */
  | 'SCENARIO'
  /** The object was closed. */
  | 'CLOSED'
  /** A bug in qmpilot; please report it. */
  | 'INTERNAL';

/** What was observed when the error occurred. Text from the guest is untrusted: escape it before showing it. */
export interface ErrorEvidence {
  /** Last lines of the console, oldest first. */
  readonly console?: readonly string[];
  /** Last lines of standard error of QEMU or another program, oldest first. */
  readonly stderr?: readonly string[];
  /** What the last check of a wait observed. */
  readonly saw?: string;
  /** Further details by name. */
  readonly [name: string]: unknown;
}

/** Optional parts of an error. */
export interface ErrorDetails {
  readonly cause?: unknown;
  /** What to do next, in one sentence. */
  readonly hint?: string;
  readonly evidence?: ErrorEvidence;
}

/** Base class of all errors thrown by qmpilot: `code` identifies the kind, `hint` says what to do next, `evidence` what was observed. */
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

/** Longest part of `evidence.saw` shown in a message, in characters. */
const MAX_SHOWN_TEXT = 500;
/** Starvation shorter than this, in ms, is noise and not mentioned. */
const MIN_SHOWN_STARVATION_MS = 100;

/** A wait ran out of time. */
export class TimeoutError extends QmpilotError {
  override readonly name = 'TimeoutError';
  /** What was awaited. */
  readonly awaited: string;
  /** How long the wait lasted, in ms. */
  readonly waitedMs: number;
  /** For how much of that time QEMU got no processor or was stopped, in ms. */
  readonly starvedMs: number;

  constructor(
    awaited: string,
    waitedMs: number,
    { starvedMs = 0, ...details }: ErrorDetails & { readonly starvedMs?: number } = {},
  ) {
    const starved =
      starvedMs < MIN_SHOWN_STARVATION_MS
        ? ''
        : `; QEMU got no processor time, or was stopped, for ${formatDuration(starvedMs)} of it`;
    const saw = details.evidence?.saw;
    const shown = saw !== undefined && saw.length > MAX_SHOWN_TEXT ? `${saw.slice(0, MAX_SHOWN_TEXT)}...` : saw;
    const seen = shown === undefined ? '' : `; last seen: ${shown}`;
    super('TIMEOUT', `timed out after ${formatDuration(waitedMs)} waiting for ${awaited}${starved}${seen}`, details);
    this.starvedMs = starvedMs;
    this.awaited = awaited;
    this.waitedMs = waitedMs;
  }
}

/** The caller's signal fired during a wait; `cause` is the reason of the signal. */
export class AbortedError extends QmpilotError {
  override readonly name = 'AbortedError';

  constructor(awaited: string, reason: unknown, details: ErrorDetails = {}) {
    super('ABORTED', `aborted while waiting for ${awaited}`, { ...details, cause: reason });
  }
}

/** QEMU's error reply to a QMP command; `qmpClass` and `desc` are taken from the reply. */
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

/** Returns whether `error` was thrown by qmpilot, and has the given code if one is given. */
export function isQmpilotError(error: unknown, code?: ErrorCode): error is QmpilotError {
  return error instanceof QmpilotError && (code === undefined || error.code === code);
}

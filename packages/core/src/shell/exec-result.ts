import { inspect } from 'node:util';
import { AbortedError, isQmpilotError, QmpilotError, TimeoutError } from '../errors.js';

/** How a command reached the guest. */
export type ShellKind = 'console' | 'guest-agent' | 'ssh' | 'serial';

/** Result of a command that has ended, whatever its exit code. */
export interface ExecResult {
  readonly command: string;
  /** The shell that ran it. */
  readonly via: ShellKind;
  /** 0 to 255. */
  readonly exitCode: number;
  /** `SIGKILL`, ..., where the exit code is 128 plus a signal's number: the shell's convention, which a command may imitate. */
  readonly signal?: string;
  /** Standard output as UTF-8; broken sequences become U+FFFD. */
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: Buffer;
  readonly stderrBytes: Buffer;
  /** From sending the command to its end, in ms, with one decimal. */
  readonly durationMs: number;
  /** Lines that others, such as the kernel, wrote to the console at that time; of a shell on the serial console only. */
  readonly consoleLines?: readonly string[];
}

export interface ExecEnd {
  readonly command: string;
  readonly via: ShellKind;
  readonly exitCode: number;
  readonly durationMs: number;
  readonly stdoutBytes?: Buffer;
  readonly stderrBytes?: Buffer;
  readonly consoleLines?: readonly string[];
}

export function execResult({ command, via, exitCode, durationMs, consoleLines, ...end }: ExecEnd): ExecResult {
  const signal = signalName(exitCode);
  const { stdoutBytes = Buffer.alloc(0), stderrBytes = Buffer.alloc(0) } = end;
  const result: ExecResult = {
    command,
    via,
    exitCode,
    ...(signal ? { signal } : {}),
    durationMs: Math.round(durationMs * 10) / 10,
    stdoutBytes,
    stderrBytes,
    ...(consoleLines && { consoleLines }),
    // Decoded on access: 100 MB may be binary data.
    get stdout() {
      return stdoutBytes.toString('utf8');
    },
    get stderr() {
      return stderrBytes.toString('utf8');
    },
  };
  const shown = () => {
    const { stdoutBytes: _out, stderrBytes: _err, ...rest } = result;
    return rest;
  };
  return Object.defineProperties(result, { toJSON: { value: shown }, [inspect.custom]: { value: shown } });
}

export function requireSuccess(result: ExecResult): ExecResult {
  if (result.exitCode === 0) return result;
  const said = lastLines(result.stderrBytes) || lastLines(result.stdoutBytes);
  const how = result.signal ? `was killed by ${result.signal}` : `ended with exit code ${result.exitCode}`;
  throw new QmpilotError('COMMAND_FAILED', `${JSON.stringify(result.command)} ${how}${said ? `: ${said}` : ''}`, {
    evidence: {
      command: result.command,
      exitCode: result.exitCode,
      stdout: tailLines(result.stdoutBytes),
      stderr: tailLines(result.stderrBytes),
    },
    hint: 'the ends of its output are in evidence.stdout and evidence.stderr; exec() gives the exit code as data instead',
  });
}

export function requireFailure(result: ExecResult): ExecResult {
  if (result.exitCode !== 0) return result;
  throw new QmpilotError(
    'COMMAND_SUCCEEDED',
    `${JSON.stringify(result.command)} ended with exit code 0, but had to fail`,
    {
      evidence: {
        command: result.command,
        stdout: tailLines(result.stdoutBytes),
        stderr: tailLines(result.stderrBytes),
      },
      hint: 'the ends of its output are in evidence.stdout and evidence.stderr; exec() gives the exit code as data instead',
    },
  );
}

export function describeCommand(command: string): string {
  return JSON.stringify(command.length > 80 ? `${command.slice(0, 77)}...` : command);
}

export function outputLimit(command: string, limit: number): QmpilotError {
  return new QmpilotError(
    'OUTPUT_LIMIT',
    `${describeCommand(command)} wrote more than ${limit} bytes of output and was killed`,
    {
      hint: 'raise maxOutput, write to a file, or use stream(), which has no limit',
    },
  );
}

/** The error for a command that was killed, with its output until then. */
export function abandoned(error: unknown, command: string, stdout: Buffer, stderr: Buffer): unknown {
  const details = {
    evidence: { stdout: tailLines(stdout), stderr: tailLines(stderr) },
    hint: 'the command was killed and the shell stays usable; its output until then is in the evidence',
  };
  if (error instanceof TimeoutError)
    return new TimeoutError(error.awaited, error.waitedMs, { ...details, starvedMs: error.starvedMs });
  if (error instanceof AbortedError) return new AbortedError(describeCommand(command), error.cause, details);
  if (!isQmpilotError(error, 'OUTPUT_LIMIT')) return error;
  return new QmpilotError(error.code, error.message, {
    ...(error.hint && { hint: error.hint }),
    evidence: details.evidence,
  });
}

/** The last lines of an output, for evidence: at most 16 KiB. */
export function tailLines(bytes: Buffer): string[] {
  return bytes.subarray(-16_384).toString('utf8').trimEnd().split('\n').slice(-50);
}

function lastLines(bytes: Buffer): string {
  return tailLines(bytes).slice(-3).join(' / ').slice(-500);
}

/** Signals 1 to 31 of Linux on x86, ARM and RISC-V: include/uapi/asm-generic/signal.h. */
const SIGNALS =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  );

function signalName(exitCode: number): string | undefined {
  const name = SIGNALS[exitCode - 129];
  return name === undefined ? undefined : `SIG${name}`;
}

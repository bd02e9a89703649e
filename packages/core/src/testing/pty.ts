import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';

/** A program on a pseudo-terminal, as {@link openPty} starts it. */
export interface Pty {
  /** The output of the program, and its input. */
  readonly stream: Duplex;
  /** Kills the program and all processes that it started, and closes the stream. */
  readonly close: () => void;
}

/**
 * Starts a program on a new pseudo-terminal, by script(1) of util-linux: a shell on it behaves like the shell on a guest's console.
 * `env` is added to a minimal environment (`PATH` of this process, `TERM=dumb`, `SHELL=/bin/sh`).
 */
export function openPty(command: string, env: Readonly<Record<string, string>> = {}): Pty {
  const child = spawn('script', ['-qfec', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], HOME: '/', TERM: 'dumb', SHELL: '/bin/sh', ...env },
    detached: true,
  });
  const stream = Duplex.from({ writable: child.stdin, readable: child.stdout });
  stream.on('error', () => {});
  return {
    stream,
    close: () => {
      stream.destroy();
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It ended between the check and the kill.
      }
    },
  };
}

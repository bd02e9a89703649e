import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';

export interface Pty {
  readonly stream: Duplex;
  readonly close: () => void;
}

/** A program on a pseudo-terminal of its own, by script(1): what a guest's shell on a console is, without the guest. */
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
        // It has ended between the look and the kill.
      }
    },
  };
}

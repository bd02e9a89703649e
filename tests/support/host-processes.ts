import { readdirSync, readFileSync } from 'node:fs';

export interface HostProcess {
  readonly pid: number;
  readonly name: string;
  readonly command: string;
}

/** In the environment of the controller, and so of what it starts. */
export const MARK = 'QMPILOT_FAULT_RUN';

/** Processes of one run of the command: those that carry its mark, and those whose arguments name its folder (the reaper's environment is empty). */
export function processesOf(base: string): HostProcess[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      const environment = readFileSync(`/proc/${name}/environ`, 'latin1');
      if (!environment.includes(`${MARK}=${base}\0`) && !command.includes(base)) return [];
      return [{ pid: Number(name), name: readFileSync(`/proc/${name}/comm`, 'utf8').trim(), command }];
    } catch {
      return [];
    }
  });
}

export function qemusOf(base: string): HostProcess[] {
  return processesOf(base).filter(({ name }) => name.startsWith('qemu-system'));
}

/** Sockets with a name in the run's folder. */
export function socketsOf(base: string): string[] {
  return readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .filter((line) => line.includes(base));
}

export function signalAll(processes: readonly HostProcess[], signal: NodeJS.Signals): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, signal);
    } catch {
      // It is gone.
    }
  }
}

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AttemptRecord } from '@qmpilot/core';
import { MARK, qemusOf, type HostProcess } from '../support/host-processes.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BIN = join(ROOT, 'packages/cli/dist/bin.js');
const SCENARIO = fileURLToPath(new URL('faults.repro.ts', import.meta.url));

export const ATTEMPTS = 8;

export interface RunEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
  /** What the command said is finished, as it said it. */
  readonly told: readonly AttemptRecord[];
  /** The most memory that the controller had, in MiB. */
  readonly peakMiB: number;
}

export interface StartOptions {
  readonly args: readonly string[];
  /** Of an attempt; default 3 s. */
  readonly timeout?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A shell's words before `exec node ...`: limits. */
  readonly before?: string;
}

/** The command at work. */
export class Controller {
  readonly child: ChildProcess;
  readonly ended: Promise<RunEnd>;
  /** The first attempt has begun, or the run is over. */
  readonly attempting: Promise<void>;
  #stdout = '';
  #stderr = '';
  #peakKiB = 0;

  constructor(base: string, guest: Readonly<Record<string, string>>, { args, env, before }: StartOptions) {
    const command = [process.execPath, BIN, 'repro', ...args];
    const [program, ...rest] =
      before === undefined ? command : ['/bin/sh', '-c', `${before}; exec "$@"`, 'sh', ...command];
    this.child = spawn(program ?? '', rest, {
      cwd: base,
      env: {
        ...process.env,
        ...guest,
        NO_COLOR: '1',
        TMPDIR: join(base, 'tmp'),
        QMPILOT_RAM_DIR: join(base, 'ram'),
        [MARK]: base,
        NODE_OPTIONS: '',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const sampler = setInterval(() => (this.#peakKiB = Math.max(this.#peakKiB, residentKiB(this.child.pid ?? 0))), 100);
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    let begun = () => {};
    this.attempting = new Promise((resolve) => (begun = resolve));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
      if (this.#stderr.includes('attempt 1 of')) begun();
    });
    this.child.once('close', () => begun());
    this.ended = new Promise((resolve) =>
      this.child.once('close', (code, signal) => {
        clearInterval(sampler);
        resolve({ code, signal, stderr: this.#stderr, told: toldIn(this.#stdout), peakMiB: this.#peakKiB >> 10 });
      }),
    );
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

function residentKiB(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function toldIn(stdout: string): AttemptRecord[] {
  return stdout.split('\n').flatMap((line) => {
    try {
      const value: AttemptRecord = JSON.parse(line);
      return value.type === 'attempt' ? [value] : [];
    } catch {
      // A line that was cut off was not told.
      return [];
    }
  });
}

/** A run directory with all that belongs to it in a folder of its own, so that what is left can be seen. */
export class FaultRun {
  readonly base: string;
  readonly #guest: Readonly<Record<string, string>>;

  constructor(guest: Readonly<Record<string, string>>) {
    this.base = mkdtempSync(join(tmpdir(), 'faults-'));
    this.#guest = guest;
    for (const name of ['tmp', 'ram', 'out']) mkdirSync(join(this.base, name), { mode: 0o700 });
  }

  path(...names: readonly string[]): string {
    return join(this.base, ...names);
  }

  get dir(): string {
    return this.path('out', 'run');
  }

  start(options: Partial<StartOptions> = {}): Controller {
    const args = options.args ?? [
      SCENARIO,
      '--attempts',
      String(ATTEMPTS),
      '--seed',
      '5',
      '--forks',
      '2',
      '--timeout',
      options.timeout ?? '3s',
      '--out',
      this.dir,
      '--json',
    ];
    return new Controller(this.base, this.#guest, { ...options, args });
  }

  resume(): Controller {
    return this.start({ args: ['--resume', this.dir, '--forks', '2', '--json'] });
  }

  /** A QEMU of the run, as soon as there is one; undefined when the run ended before. */
  async qemus(controller: Controller): Promise<HostProcess[]> {
    for (;;) {
      const found = qemusOf(this.base);
      if (found.length > 0 || !controller.running) return found;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Its directory goes, for a run that starts again. */
  forget(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** What is left of it on disk and in memory. */
  files(): string[] {
    return ['tmp', 'ram'].flatMap((name) => readdirSync(this.path(name)).map((entry) => `${name}/${entry}`));
  }

  remove(): void {
    rmSync(this.base, { recursive: true, force: true });
  }
}

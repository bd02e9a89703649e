import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AttemptRecord } from '@qmpilot/core';
import { startRedis, type TestRedis } from './redis.js';
import { makeTinyGuest } from './tiny-guest.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BIN = join(ROOT, 'packages/cli/dist/bin.js');

/** A command that runs. */
export interface Running {
  readonly child: ChildProcess;
  /** Its exit status; null after a signal. */
  readonly ended: Promise<number | null>;
  /** What it has printed. */
  readonly text: () => string;
}

interface StartOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Words before the command: that of another host. */
  readonly on?: readonly string[];
}

/** Redis, a guest that boots within seconds, and commands that use both, in a folder. */
export class QueuedRuns {
  readonly dir: string;
  readonly redis: TestRedis;
  readonly #variables: NodeJS.ProcessEnv;
  readonly #running: Running[] = [];

  private constructor(dir: string, redis: TestRedis, variables: NodeJS.ProcessEnv) {
    this.dir = dir;
    this.redis = redis;
    this.#variables = variables;
  }

  static async open(...redisOptions: readonly string[]): Promise<QueuedRuns> {
    const dir = mkdtempSync(join(tmpdir(), 'qmpilot-queue-test-'));
    const { kernel, initrd } = await makeTinyGuest(dir);
    const redis = await startRedis(join(dir, 'redis'), ...redisOptions);
    return new QueuedRuns(dir, redis, {
      TINY_KERNEL: kernel,
      TINY_INITRD: initrd,
      QMPILOT_QUEUE_KEY: 'a secret of this test',
    });
  }

  /** The path of a scenario of the tests. */
  scenario(name: string): string {
    return join(ROOT, 'tests/support/scenarios', `${name}.repro.ts`);
  }

  /** Starts a command. */
  qmpilot(...args: readonly string[]): Running {
    return this.start(args);
  }

  /** Starts a worker that makes one attempt at a time. */
  worker(options: StartOptions & { readonly url?: string } = {}): Running {
    return this.start(['worker', '--queue', options.url ?? this.redis.url, '--forks', '1'], options);
  }

  start(args: readonly string[], { env: variables = {}, on = [] }: StartOptions = {}): Running {
    const env = { ...process.env, ...this.#variables, ...variables };
    const [program = process.execPath, ...words] = [...on, process.execPath, BIN, ...args];
    const child = spawn(program, words, { cwd: this.dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    const add = (chunk: string) => void (text += chunk);
    child.stdout.setEncoding('utf8').on('data', add);
    child.stderr.setEncoding('utf8').on('data', add);
    const ended = once(child, 'close').then(([code]: (number | null)[]) => code ?? null);
    const one = { child, ended, text: () => text };
    this.#running.push(one);
    return one;
  }

  /** The attempts that a run has recorded. */
  attemptsOf(name: string): AttemptRecord[] {
    const file = join(this.dir, name, 'attempts.jsonl');
    if (!existsSync(file)) return [];
    return readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line): AttemptRecord => JSON.parse(line));
  }

  /** Ends all commands. */
  async stopAll(): Promise<void> {
    for (const { child, ended } of this.#running.splice(0)) {
      child.kill('SIGCONT');
      child.kill('SIGTERM');
      await ended;
    }
  }

  async close(): Promise<void> {
    await this.stopAll();
    await this.redis.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

export const BIN = fileURLToPath(new URL('../../../packages/cli/dist/bin.js', import.meta.url));

/** State folder of the named VMs of one test file. */
export const dir = mkdtempSync(join(tmpdir(), 'qmpilot-named-'));

export const environment = () => ({ ...process.env, QMPILOT_STATE: dir });

/** Stops the VMs when the tests of this file have run. */
export function stopVmsAtEnd(): void {
  afterAll(async () => {
    await qmpilot('stop', '--all');
    rmSync(dir, { recursive: true, force: true });
  });
}

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Buffer;
}

/** Runs a command to its end. */
export function qmpilot(...args: readonly string[]): Promise<Result> {
  return qmpilotWith('', ...args);
}

/** Runs a command with this as its standard input. */
export function qmpilotWith(input: string, ...args: readonly string[]): Promise<Result> {
  const child = spawn(process.execPath, [BIN, ...args], { env: environment(), stdio: 'pipe' });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.end(input);
  return new Promise((resolve) =>
    child.once('close', (code) => {
      const bytes = Buffer.concat(stdout);
      resolve({ code, bytes, stdout: bytes.toString(), stderr: Buffer.concat(stderr).toString() });
    }),
  );
}

/** The rows of `qmpilot ps`. */
export const ps = async () => {
  const { stdout } = await qmpilot('ps', '--all', '--json');
  return stdout
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line): { name: string; status: string; reason?: string; qemuPid?: number; daemonPid: number } =>
      JSON.parse(line),
    );
};

import { spawn, type ChildProcess } from 'node:child_process';
import { QmpilotError } from '../../errors.js';
import { awaitWithin } from '../../util/async/deadline.js';
import { which } from '../../util/files/which.js';
import { Ring } from '../../util/ring.js';
import type { PrepareContext } from '../guest.js';

export interface FlakeSource {
  /** As `nix` takes it: `.`, `github:owner/repo`, `path:/some/where`. */
  readonly flake: string;
  /** A name of `nixosConfigurations`, or the whole path of an attribute that is a `system.build.vm`. */
  readonly attribute: string;
}

const ERROR_LINES = 30;
const END_MS = 2000;

/** `nixos-vm` stands for `nixosConfigurations.nixos-vm.config.system.build.vm`. */
export function installable({ flake, attribute }: FlakeSource): string {
  return `${flake}#${attribute.includes('.') ? attribute : `nixosConfigurations.${attribute}.config.system.build.vm`}`;
}

/**
 * Builds an attribute of a flake and returns its path in the store.
 * @throws {TOOL_MISSING} without nix
 * @throws {GUEST_BUILD} when it does not evaluate or build, with nix's error
 * @throws {ABORTED}
 */
export async function nixBuild(source: FlakeSource, { signal, onProgress }: PrepareContext): Promise<string> {
  const nix = await which('nix');
  if (!nix) {
    throw new QmpilotError('TOOL_MISSING', `nix is not on PATH: ${installable(source)} cannot be built`, {
      hint: "install Nix, or build it elsewhere and name the finished script: nixos({ script: 'result/bin/run-nixos-vm' })",
    });
  }
  const args = [
    'build',
    '--extra-experimental-features',
    'nix-command flakes',
    '--no-link',
    '--print-out-paths',
    '--print-build-logs',
    installable(source),
  ];
  const child = spawn(nix, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = new Ring<string>(ERROR_LINES);
  let stdout = '';
  let partial = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const lines = (partial + text).split('\n');
    partial = lines.pop() ?? '';
    for (const line of lines.filter((one) => one.trim() !== '')) {
      said.push(line.slice(0, 500));
      onProgress?.(`nix: ${line.slice(0, 200)}`);
    }
  });
  const status = await awaitWithin<number | null>(
    { awaited: `nix to build ${installable(source)}` },
    { signal },
    (resolve, reject) => {
      child.once('error', (cause) =>
        reject(new QmpilotError('GUEST_BUILD', `nix could not be run: ${String(cause)}`, { cause })),
      );
      child.once('close', resolve);
    },
  ).catch(async (error: unknown) => {
    await end(child);
    throw error;
  });
  if (partial) said.push(partial);
  if (status !== 0) throw buildError(source, status, said.last());
  const path = stdout.trim().split('\n').at(-1);
  if (!path)
    throw new QmpilotError('GUEST_BUILD', `nix built ${installable(source)} and named no output`, {
      evidence: { stderr: said.last() },
    });
  return path;
}

/** On SIGTERM nix removes its temporary files; if it does not exit, it is killed. */
async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
  await gone;
  clearTimeout(timer);
  for (const stream of [child.stdout, child.stderr]) stream?.destroy();
}

function buildError(source: FlakeSource, status: number | null, stderr: readonly string[]): QmpilotError {
  // Nix prints where the error is, and the error itself last.
  const errors = stderr.filter((line) => /^\s*error:/.test(line));
  const message = (errors.at(-1) ?? stderr.at(-1) ?? 'it printed nothing').trim();
  return new QmpilotError('GUEST_BUILD', `nix build ${installable(source)} ended with status ${status}: ${message}`, {
    evidence: { stderr },
    hint: /does not provide attribute/.test(stderr.join('\n'))
      ? `see what there is: nix flake show ${source.flake}`
      : `try it by hand: nix build ${installable(source)} --show-trace`,
  });
}

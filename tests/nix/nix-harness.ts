import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What the flake reads of this repository. */
const FLAKE_PARTS = [
  'flake.nix',
  'flake.lock',
  'nix',
  'tests/nix',
  'tests/package.json',
  'package.json',
  'pnpm-lock.yaml',
  'pnpm-workspace.yaml',
  'tsconfig.base.json',
  'packages/core/package.json',
  'packages/core/guest',
  'packages/cli/package.json',
  'examples/package.json',
];

/** A Nix that evaluates without network, with a store of its own, and a copy of the flake for it. */
export class Nix implements Disposable {
  readonly #programs: string;
  readonly #directory: string;

  private constructor(programs: string) {
    this.#programs = programs;
    this.#directory = mkdtempSync(join(tmpdir(), 'qmpilot-nix-test-'));
    for (const part of FLAKE_PARTS) cpSync(join(ROOT, part), join(this.flake, part), { recursive: true });
  }

  /** The host's Nix, else Debian's, unpacked into the cache. @returns a text that says why there is none */
  static async find(): Promise<Nix | string> {
    try {
      const { stdout } = await run('sh', ['-c', 'command -v nix-instantiate && command -v nix']);
      return new Nix(dirname(stdout.split('\n')[0] ?? ''));
    } catch {
      // Not installed: Debian's comes from its packages.
    }
    try {
      const { stdout } = await run(join(ROOT, 'tools/nix/fetch-nix.sh'), { timeout: 300_000 });
      return new Nix(stdout.trim());
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 125)
        return `no Nix here, and none could be fetched: ${error.message}`;
      throw error;
    }
  }

  /** The folder with `nix` in it. */
  get programs(): string {
    return this.#programs;
  }

  get flake(): string {
    return join(this.#directory, 'flake');
  }

  async run(program: 'nix' | 'nix-instantiate', ...args: readonly string[]): Promise<string> {
    const env = {
      ...process.env,
      HOME: join(this.#directory, 'home'),
      NIX_CONFIG:
        'experimental-features = nix-command flakes\nsandbox = false\nbuild-users-group =\nsubstituters =\nflake-registry =',
    };
    const { stdout } = await run(join(this.#programs, program), args, { env, maxBuffer: 1 << 26, timeout: 60_000 });
    return stdout;
  }

  /** The value of a flake output, with a stand-in in place of both nixpkgs. */
  async output(attribute: string, apply = '(x: x)'): Promise<unknown> {
    const standIn = `path:${join(this.flake, 'tests/nix/nixpkgs')}`;
    const inputs = ['nixpkgs', 'nixpkgs-guest'].flatMap((name) => ['--override-input', name, standIn]);
    return JSON.parse(
      await this.run(
        'nix',
        'eval',
        ...this.#store,
        '--offline',
        '--no-write-lock-file',
        ...inputs,
        '--json',
        '--apply',
        apply,
        `path:${this.flake}#${attribute}`,
      ),
    );
  }

  /** The value of an expression in which `lib`, `pkgs` and `nixos` are those of the stand-in, and `flake` is the folder. */
  async expression(text: string): Promise<unknown> {
    const bindings = `let flake = ${this.flake}; lib = import (flake + "/tests/nix/nixpkgs/lib"); pkgs = import (flake + "/tests/nix/nixpkgs/pkgs.nix") { inherit lib; };
      nixos = module: (import (flake + "/tests/nix/nixpkgs/nixos") { inherit lib pkgs; } { system = "x86_64-linux"; modules = [ (flake + "/nix/modules/qmpilot.nix") module ]; }).config; in `;
    return JSON.parse(
      await this.run('nix-instantiate', ...this.#store, '--eval', '--strict', '--json', '--expr', bindings + text),
    );
  }

  get #store(): string[] {
    return ['--store', join(this.#directory, 'store')];
  }

  [Symbol.dispose](): void {
    // Paths of a Nix store are read-only, folders too.
    execFileSync('chmod', ['-R', 'u+w', this.#directory]);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

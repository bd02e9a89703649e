import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { Nix } from '../nix/nix-harness.js';

/** A Nix for the tests of this file, which are skipped where there is none. */
export function useNix(): { readonly nix: Nix; readonly isMissing: boolean } {
  let found: Nix | string = 'not looked for yet';
  beforeAll(async () => {
    found = await Nix.find();
  });
  beforeEach((context) => {
    if (typeof found === 'string') context.skip(found);
  });
  afterAll(() => typeof found === 'string' || found[Symbol.dispose]());
  return {
    get nix() {
      if (typeof found === 'string') throw new Error(found);
      return found;
    },
    get isMissing() {
      return typeof found === 'string';
    },
  };
}

/** Returns what bash says about a script's syntax. */
export function bashErrors(script: string): string {
  try {
    execFileSync('bash', ['-n'], { input: script, stdio: ['pipe', 'ignore', 'pipe'] });
    return '';
  } catch (error) {
    return error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
  }
}

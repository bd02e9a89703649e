import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { AttemptRecord } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../../nix/nix-harness.js';
import { writeStartScript } from '../../nix/start-script.js';
import { leftovers, leftoversSince } from '../../support/leftovers.js';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-nixos-example-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let runs = 0;
/** `qmpilot repro examples/npm-ci-hang/npm-ci-hang.repro.ts --guest nixos`. */
async function repro(
  env: NodeJS.ProcessEnv,
  ...more: readonly string[]
): Promise<{ code: number | null; stdout: string; stderr: string; out: string }> {
  const out = join(dir, `run${(runs += 1)}`);
  const args = [
    join(ROOT, 'packages/cli/dist/bin.js'),
    'repro',
    join(ROOT, 'examples/npm-ci-hang/npm-ci-hang.repro.ts'),
    '--guest',
    'nixos',
    '--attempts',
    '3',
    '--until-reproduced',
    '1',
    '--out',
    out,
    ...more,
  ];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, QMPILOT_NIXOS_SCRIPT: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stdout, stderr, out };
}

describe('npm-ci-hang --guest nixos', () => {
  it('runs unchanged on a guest that a start script of NixOS’s kind starts, and finds the hang there', async () => {
    const before = leftovers();
    const script = await writeStartScript(join(dir, 'vm'), { root: 'tmpfs' });
    const { code, stdout, stderr, out } = await repro({ QMPILOT_NIXOS_SCRIPT: script }, '--json');
    expect(stderr).toMatch(/three panes are ready, and the loop waits for its Enter/);
    const attempt = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as AttemptRecord)
      .find(({ outcome }) => outcome === 'reproduced');
    expect(attempt?.findings.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['d-state', 'hung-task', 'poweroff-stall']),
    );
    expect(code).toBe(1);
    expect(JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'))).toMatchObject({
      facts: { guest: { name: 'nixos:nixos' } },
    });
    expect(leftoversSince(before)).toEqual([]);
  });

  it.each([
    [
      'no nix',
      125,
      () => ({ PATH: dirname(process.execPath) }),
      /^qmpilot: nix is not on PATH: .*#nixosConfigurations\.nixos-vm-snapshot\.config\.system\.build\.vm cannot be built\n {2}-> install Nix, or build it elsewhere/m,
    ],
    [
      'a script that is not there',
      2,
      () => ({ QMPILOT_NIXOS_SCRIPT: join(dir, 'none') }),
      /^qmpilot: there is no start script at .*none\n {2}-> build it: nix build/m,
    ],
    [
      'a build that is not a vm',
      2,
      () => {
        mkdirSync(join(dir, 'tool/bin'), { recursive: true });
        writeFileSync(join(dir, 'tool/bin/hello'), '', { mode: 0o755 });
        return { QMPILOT_NIXOS_SCRIPT: join(dir, 'tool') };
      },
      /^qmpilot: .*tool has no bin\/run-\*-vm \(it has hello\)\n {2}-> the attribute must be a `config\.system\.build\.vm`/m,
    ],
    [
      'a script that exits at once',
      125,
      () => {
        const path = join(dir, 'run-short-vm');
        writeFileSync(path, '#!/bin/sh\necho "cannot create disk image" >&2\nexit 3\n', { mode: 0o755 });
        return { QMPILOT_NIXOS_SCRIPT: path };
      },
      /^qmpilot: the start script .*run-short-vm exited with status 3 before its QEMU answered; it said: cannot create disk image$/m,
    ],
  ])('says what is wrong, and is no verdict on the kernel: %s', async (_what, status, environment, message) => {
    const { code, stdout, stderr } = await repro(environment());
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
    expect(code).toBe(status);
  });
});

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Nix } from '../../nix/nix-harness.js';

/** tty1 and ttyS0 in the guest; here more of them, so that they do come at the same moment. */
const CONSOLES = 6;

let found: Nix | string;
let texts: Record<string, string> = {};
let dir: string;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-guest-scripts-'));
  found = await Nix.find();
  if (typeof found === 'string') return;
  const packages = await found.output(
    'nixosConfigurations.nixos-vm.config.environment.systemPackages',
    'ps: map (p: { inherit (p) name text; }) (builtins.filter (p: p ? text) ps)',
  );
  texts = Object.fromEntries((packages as { name: string; text: string }[]).map(({ name, text }) => [name, text]));
});
beforeEach((context) => {
  if (typeof found === 'string') context.skip(found);
});
afterAll(() => {
  if (typeof found !== 'string') found[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
});

/** As `writeShellApplication` of nixpkgs writes it. */
function application(name: string): string {
  const path = join(dir, name);
  writeFileSync(
    path,
    `#!/bin/bash\nset -o errexit\nset -o nounset\nset -o pipefail\n\n${texts[name]?.replaceAll('/root/project', join(dir, 'project'))}`,
    { mode: 0o755 },
  );
  return path;
}

describe('the scripts of the guest', () => {
  it('pass shellcheck, without which nixpkgs does not build them', () => {
    expect(Object.keys(texts).toSorted((one, other) => one.localeCompare(other))).toEqual([
      'fix-stty-size',
      'reproducer',
    ]);
    for (const name of Object.keys(texts)) execFileSync('shellcheck', [application(name)], { stdio: 'inherit' });
  });
});

describe('reproducer, run by bash and tmux', () => {
  const consoles: ChildProcess[] = [];
  const environment = () => ({
    ...process.env,
    TMUX: undefined,
    TERM: 'xterm',
    SHELL: '/bin/bash',
    TMUX_TMPDIR: dir,
    HOME: dir,
  });
  const tmux = (...args: readonly string[]) =>
    execFileSync('tmux', args, { env: environment(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });

  beforeAll(() => {
    mkdirSync(join(dir, 'project'));
    mkdirSync(join(dir, 'bin'));
    // `npm ci` as a process of that name that does not end.
    writeFileSync(join(dir, 'bin/npm'), `#!/bin/bash\necho "npm $* runs"\nexec -a 'npm ci' sleep 1000\n`);
    chmodSync(join(dir, 'bin/npm'), 0o755);
    // tmux starts login shells, which begin with a PATH of their own.
    writeFileSync(join(dir, '.bash_profile'), `PATH=${join(dir, 'bin')}:$PATH\n`);
  });
  afterAll(async () => {
    if (consoles.length > 0) tmux('kill-server');
    await Promise.all(consoles.filter(({ exitCode }) => exitCode === null).map((child) => once(child, 'exit')));
  });

  it('makes the three panes once, though several consoles log in at the same moment, and all of them show it', async () => {
    const path = application('reproducer');
    // `script` gives it a terminal.
    for (let count = 0; count < CONSOLES; count += 1)
      consoles.push(
        spawn('script', ['-qec', path, '/dev/null'], { env: environment(), stdio: ['pipe', 'ignore', 'inherit'] }),
      );
    await vi.waitFor(() => expect(tmux('list-clients', '-t', 'npm-ci').trim().split('\n')).toHaveLength(CONSOLES), {
      timeout: 20_000,
      interval: 100,
    });
    const pane = (index: number) => tmux('capture-pane', '-p', '-t', `npm-ci:0.${index}`);
    await vi.waitFor(
      () => {
        expect(pane(0)).toMatch(/while true; do npm ci; done\n[^]*npm ci runs/);
        expect(pane(1)).toMatch(/^Every 2\.0s: ps -p \$\(pidof "npm ci"\) u/);
        expect(pane(2)).toMatch(/kill -9 \$\(pidof "npm ci"\)\s*$/);
      },
      { timeout: 20_000, interval: 100 },
    );
    expect(tmux('list-panes', '-t', 'npm-ci', '-F', '#{pane_index} #{pane_active}')).toBe('0 0\n1 0\n2 1\n');
  });
});

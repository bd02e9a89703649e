import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, nixos } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useNix } from '../../support/nix.js';

const host = useNix();

describe('nixos({ flake, attribute })', () => {
  let dir: string;
  const path = process.env['PATH'];
  const store = ['NIX_STORE_DIR', 'NIX_STATE_DIR', 'NIX_LOG_DIR', 'NIX_CONFIG'] as const;
  beforeAll(() => {
    if (host.isMissing) return;
    dir = mkdtempSync(join(tmpdir(), 'qmpilot-nixos-flake-'));
    mkdirSync(join(dir, 'flake'));
    // A VM as NixOS builds it, of what Nix has by itself: its start script says who it is and ends.
    writeFileSync(
      join(dir, 'flake/flake.nix'),
      `{
      outputs = { self }: let build = text: derivation { name = "x"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" text ]; PATH = "/usr/bin:/bin"; }; in {
        nixosConfigurations.vm.config.system.build.vm = build "echo building >&2; mkdir -p $out/bin; printf '#!/bin/sh\\necho built by nix >&2; exit 7\\n' > $out/bin/run-tiny-vm; chmod +x $out/bin/run-tiny-vm";
        packages.x86_64-linux.tool = build "mkdir -p $out/bin; touch $out/bin/tool";
        packages.x86_64-linux.failing = build "echo no such luck >&2; exit 1";
        nixosConfigurations.wrong.config.system.build.vm = throw "this configuration is wrong";
      };
    }`,
    );
    process.env['PATH'] = `${host.nix.programs}:${path}`;
    process.env['NIX_STORE_DIR'] = join(dir, 'store');
    process.env['NIX_STATE_DIR'] = join(dir, 'state');
    process.env['NIX_LOG_DIR'] = join(dir, 'log');
    process.env['NIX_CONFIG'] = 'sandbox = false\nbuild-hook =\nbuild-users-group =\nsubstituters =\nflake-registry =';
  });
  afterAll(() => {
    if (host.isMissing) return;
    process.env['PATH'] = path;
    for (const name of store) delete process.env[name];
    execFileSync('chmod', ['-R', 'u+w', dir]);
    rmSync(dir, { recursive: true, force: true });
  });
  const guest = (attribute: string) => nixos({ flake: `path:${join(dir, 'flake')}`, attribute });

  it('builds the attribute, shows the progress, and runs the built script', async () => {
    const shown: string[] = [];
    await expect(boot(guest('vm'), { onProgress: (line) => shown.push(line) })).rejects.toMatchObject({
      code: 'QEMU_START',
      message: expect.stringMatching(/store\/\S+-x\/bin\/run-tiny-vm exited with status 7 .* built by nix/),
    });
    expect(shown.join('\n')).toMatch(/^nix: .*building/m);
  });

  it.each([
    ['an attribute that is not there', 'none', 'GUEST_BUILD', /does not provide attribute/],
    ['a flake that does not evaluate', 'wrong', 'GUEST_BUILD', /error: this configuration is wrong/],
    [
      'an attribute that does not build',
      'packages.x86_64-linux.failing',
      'GUEST_BUILD',
      /ended with status 1: .*error/,
    ],
    [
      'an attribute that is not a vm',
      'packages.x86_64-linux.tool',
      'USAGE',
      /#packages\.x86_64-linux\.tool is not a vm: .* has no bin\/run-\*-vm \(it has tool\)/,
    ],
  ])('passes on the error of nix for %s', async (_what, attribute, code, message) => {
    await expect(boot(guest(attribute))).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('says what to do without nix', async () => {
    const withNix = process.env['PATH'];
    process.env['PATH'] = '/nowhere';
    try {
      await expect(boot(guest('vm'))).rejects.toMatchObject({
        code: 'TOOL_MISSING',
        message: expect.stringMatching(/nix is not on PATH/),
        hint: expect.stringMatching(/install Nix.*nixos\(\{ script/),
      });
    } finally {
      process.env['PATH'] = withNix;
    }
  });

  it('ends nix when it is interrupted', async () => {
    await expect(boot(guest('vm'), { signal: AbortSignal.timeout(1) })).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

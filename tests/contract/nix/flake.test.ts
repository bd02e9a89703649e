import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, nixos } from '@qmpilot/core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Nix, ROOT } from '../../nix/nix-harness.js';

const GUEST_REVISION = 'cd3e8833d70618c4eea8df06f95b364b016d4950';
const GUEST_HASH = 'sha256-knnVBGfTCZlQgxY1SgH0vn2OyehH9ykfF8geZgS95bk=';

const nixFiles = ['.', ...['nix', 'tests/nix'].flatMap((folder) => [folder, ...folders(folder)])].flatMap((folder) =>
  readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.nix'))
    .map((name) => join(folder, name)),
);

function folders(of: string): string[] {
  return readdirSync(join(ROOT, of), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath.slice(ROOT.length), entry.name));
}

let found: Nix | string;
let nix: Nix;
beforeAll(async () => {
  found = await Nix.find();
  if (typeof found !== 'string') nix = found;
});
beforeEach((context) => {
  if (typeof found === 'string') context.skip(found);
});
afterAll(() => typeof found === 'string' || found[Symbol.dispose]());

describe('the .nix files', () => {
  it('are all of them syntactically Nix', async () => {
    expect(nixFiles).toContain('nix/modules/qmpilot.nix');
    await nix.run('nix-instantiate', '--parse', ...nixFiles.map((file) => join(ROOT, file)));
  });

  it('keep to the layout that nixfmt gives where it can be told without it', () => {
    const wrong = nixFiles.flatMap((file) => {
      const lines = readFileSync(join(ROOT, file), 'utf8').split('\n');
      return lines.flatMap((line, index) =>
        /\t|[ \r]$/.test(line) ||
        line.length > 140 ||
        (index === lines.length - 1) !== (line === '' && index === lines.length - 1)
          ? [`${file}:${index + 1}`]
          : [],
      );
    });
    expect(wrong).toEqual([]);
  });
});

describe('flake.lock', () => {
  it("pins the guest's nixpkgs to the revision of the bug report, and Nix takes the file as it is", async () => {
    const metadata: unknown = JSON.parse(
      await nix.run(
        'nix',
        'flake',
        'metadata',
        '--json',
        '--offline',
        '--no-update-lock-file',
        '--store',
        join(nix.flake, '../store'),
        `path:${nix.flake}`,
      ),
    );
    expect(metadata).toMatchObject({
      locks: {
        version: 7,
        nodes: {
          'nixpkgs-guest': {
            locked: { rev: GUEST_REVISION, narHash: GUEST_HASH, lastModified: 1729973466 },
            original: { rev: GUEST_REVISION },
          },
          'nixpkgs': { original: { ref: 'nixos-25.05' } },
          'root': { inputs: { 'nixpkgs': 'nixpkgs', 'nixpkgs-guest': 'nixpkgs-guest' } },
        },
      },
    });
  });
});

describe('the outputs of the flake, with a stand-in for nixpkgs', () => {
  it('are those that the documentation names', async () => {
    const apply = 'builtins.mapAttrs (_: builtins.attrNames)';
    expect(await nix.output('nixosModules', 'builtins.attrNames')).toEqual(['default', 'qmpilot']);
    expect(await nix.output('nixosConfigurations', 'builtins.attrNames')).toEqual(['nixos-vm', 'nixos-vm-snapshot']);
    expect(await nix.output('packages', apply)).toEqual({
      'x86_64-linux': ['default', 'nixos-vm', 'nixos-vm-snapshot', 'qmpilot'],
    });
    expect(
      await nix.output('apps.x86_64-linux', 'builtins.mapAttrs (_: app: app.type + ":" + baseNameOf app.program)'),
    ).toEqual({ default: 'app:qmpilot', demo: 'app:qmpilot-demo' });
    expect(await nix.output('devShells.x86_64-linux.default.type')).toBe('derivation');
    expect(await nix.output('formatter.x86_64-linux.type')).toBe('derivation');
    expect(await nix.output('checks.x86_64-linux', 'builtins.mapAttrs (_: check: check.type)')).toEqual({
      'format': 'derivation',
      'nixos-vm': 'derivation',
      'nixos-vm-snapshot': 'derivation',
      'package': 'derivation',
      'versions': 'derivation',
    });
  });

  it('starts the VM of the bug report by `nix run`: 4 cores, no graphics, root on tmpfs, the store by 9p', async () => {
    const vm = 'nixosConfigurations.nixos-vm.config';
    expect(await nix.output(`${vm}.system.build.vm.meta.mainProgram`)).toBe('run-nixos-vm');
    expect(
      await nix.output(
        `${vm}.virtualisation`,
        'v: { inherit (v) cores graphics diskImage; shares = builtins.attrNames v.sharedDirectories; options = v.qemu.options; }',
      ),
    ).toEqual({
      cores: 4,
      graphics: false,
      diskImage: null,
      shares: ['nix-store', 'shared', 'xchg'],
      options: ['-nographic'],
    });
    expect(
      await nix.output(
        vm,
        'c: { user = c.services.getty.autologinUser; agent = c.services.qemuGuest.enable; units = c.systemd.services; autostart = c.reproducer.autostart; sysctl = c.boot.kernel.sysctl; }',
      ),
    ).toEqual({
      user: 'root',
      agent: true,
      units: {},
      autostart: true,
      sysctl: {},
    });
    const packages = await nix.output(`${vm}.environment.systemPackages`, 'map (p: p.name)');
    expect(packages).toEqual(
      expect.arrayContaining(['nodejs-22.4.1', 'tmux-3.4', 'strace-6', 'gdb-14.2', 'fix-stty-size', 'reproducer']),
    );
  });

  it('starts three panes on the first login: the loop, ps, and the kill that waits for Enter', async () => {
    const apply = 'packages: (builtins.head (builtins.filter (p: p.name == "reproducer") packages)).text';
    const script = String(await nix.output('nixosConfigurations.nixos-vm.config.environment.systemPackages', apply));
    expect(bashErrors(script)).toBe('');
    expect(script.match(/send-keys .*/g)).toEqual([
      "send-keys -t npm-ci 'while true; do npm ci; done' Enter",
      'send-keys -t npm-ci "watch -d \'ps -p \\$(pidof \\"npm ci\\") u\'" Enter',
      'send-keys -t npm-ci \'kill -9 $(pidof "npm ci")\'',
    ]);
    // Without graphics nobody sees tty1, which is 80x25.
    expect(script).toMatch(/= \/dev\/tty1 \]; then\s+exec tmux attach-session -f ignore-size -t npm-ci/);
    const login = String(await nix.output('nixosConfigurations.nixos-vm.config.programs.bash.loginShellInit'));
    expect(bashErrors(login)).toBe('');
    expect(login).toContain('reproducer');
    expect(
      String(await nix.output('nixosConfigurations.nixos-vm-snapshot.config.programs.bash.loginShellInit')),
    ).not.toContain('reproducer');
  });

  it('gives the snapshot VM no 9p share, its store in an image, a qcow2 for the state, and the devices of qmpilot', async () => {
    const vm = 'nixosConfigurations.nixos-vm-snapshot.config';
    expect(
      await nix.output(
        `${vm}.virtualisation`,
        'v: { inherit (v) cores diskImage sharedDirectories useNixStoreImage mountHostNixStore emptyDiskImages; drives = map (d: d.file) v.qemu.drives; options = v.qemu.options; }',
      ),
    ).toEqual({
      cores: 4,
      diskImage: null,
      sharedDirectories: {},
      useNixStoreImage: true,
      mountHostNixStore: false,
      emptyDiskImages: [4096],
      drives: ['"$TMPDIR"/store.img', '$(pwd)/empty0.qcow2'],
      options: ['-nographic', '-device pvpanic-pci'],
    });
    expect(
      await nix.output(
        `${vm}.boot`,
        'b: { inherit (b) kernelParams consoleLogLevel; inherit (b.kernel) sysctl; inherit (b.initrd) kernelModules; }',
      ),
    ).toEqual({
      kernelParams: ['loglevel=7', 'sysrq_always_enabled=1'],
      consoleLogLevel: 7,
      sysctl: { 'kernel.sysrq': 1, 'kernel.hung_task_timeout_secs': 10, 'kernel.hung_task_check_interval_secs': 5 },
      kernelModules: ['virtio_pci', 'virtio_console'],
    });
    const script = String(await nix.output(`${vm}.system.build.vm.buildCommand`));
    expect(script).not.toContain('-virtfs');
    expect(script).toMatch(/\$QEMU_OPTS "\$@"\s*$/);
    expect(bashErrors(script)).toBe('');
  });

  it('gives each console a shell that no shutdown stops, and no getty', async () => {
    const units = await nix.output('nixosConfigurations.nixos-vm-snapshot.config.system.build.units');
    expect(Object.keys(units ?? {})).toEqual([
      'qmpilot-shell-hvc0',
      'qmpilot-shell-hvc1',
      'serial-getty@hvc0',
      'serial-getty@hvc1',
    ]);
    expect(units).toMatchObject({ 'serial-getty@hvc0': '/dev/null', 'serial-getty@hvc1': '/dev/null' });
    const text = String(
      await nix.output('nixosConfigurations.nixos-vm-snapshot.config.system.build.units.qmpilot-shell-hvc1'),
    );
    for (const line of [
      'DefaultDependencies=false',
      'IgnoreOnIsolate=true',
      'ConditionPathExists=/dev/hvc1',
      'StartLimitIntervalSec=0',
      'Environment="PATH=/run/wrappers/bin:/run/current-system/sw/bin"',
      'Environment="TERM=dumb"',
      'KillMode=process',
      'StandardInput=tty',
      'TTYPath=/dev/hvc1',
      'Restart=always',
      'OOMScoreAdjust=-1000',
      'WantedBy=sysinit.target',
    ])
      expect(text.split('\n')).toContain(line);
    expect(text).toMatch(/^ExecStart=-\/nix\/store\/\S+\/bin\/bash --norc --noprofile$/m);
  });

  it('finds what `npm ci` installs in the project of the Debian guest, to the integrity', async () => {
    const value = await nix.expression(
      '(pkgs.callPackage (flake + "/nix/npm.nix") { nodejs = pkgs.nodejs_22; }).ofPackageLock (flake + "/packages/core/guest/npm-project/package-lock.json")',
    );
    const lock = JSON.parse(readFileSync(join(ROOT, 'packages/core/guest/npm-project/package-lock.json'), 'utf8')) as {
      packages: Record<string, { integrity?: string }>;
    };
    const integrities = new Set(Object.values(lock.packages).flatMap(({ integrity }) => integrity ?? []));
    expect(new Set((value as { integrity: string }[]).map(({ integrity }) => integrity))).toEqual(integrities);
  });

  it('takes from pnpm-lock.yaml what is installed here, and nothing of other platforms', async () => {
    const value = await nix.expression(
      'import (flake + "/nix/pnpm-lock.nix") { inherit lib; } (builtins.readFile (flake + "/pnpm-lock.yaml"))',
    );
    const listed = new Set(
      (value as { name: string; version: string }[]).map(({ name, version }) => `${name}@${version}`),
    );
    const installed = readdirSync(join(ROOT, 'node_modules/.pnpm')).flatMap((folder) => {
      const match = /^(@[^+]+\+)?([^@+][^@]*)@([^_(]+)/.exec(folder);
      return match ? [`${(match[1] ?? '').replace('+', '/')}${match[2]}@${match[3]}`] : [];
    });
    expect(installed.length).toBeGreaterThan(50);
    expect(installed.filter((spec) => !listed.has(spec))).toEqual([]);
    expect([...listed].filter((spec) => /win32|darwin|arm64|musl|freebsd/.test(spec))).toEqual([]);
  });

  it('builds with the pnpm that package.json names', async () => {
    const { packageManager } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      packageManager: string;
    };
    expect(Object.keys(JSON.parse(readFileSync(join(ROOT, 'nix/pnpm.json'), 'utf8')) as object)).toEqual([
      packageManager.replace('pnpm@', ''),
    ]);
    const phase = String(await nix.output('packages.x86_64-linux.default.buildPhase'));
    expect(bashErrors(phase)).toBe('');
    expect(bashErrors(String(await nix.output('packages.x86_64-linux.default.installPhase')))).toBe('');
  });
});

describe('nixosModules.qmpilot', () => {
  it('changes nothing until it is enabled', async () => {
    const value = await nix.expression(
      'let c = nixos { }; in { inherit (c) systemd; inherit (c.boot) kernelParams kernelModules; inherit (c.boot.kernel) sysctl; user = c.services.getty.autologinUser; }',
    );
    expect(value).toEqual({
      systemd: { services: {}, tmpfiles: { rules: [] } },
      kernelParams: ['loglevel=4'],
      kernelModules: [],
      sysctl: {},
      user: null,
    });
  });

  it('works without qemu-vm.nix, and lets the configuration have the last word', async () => {
    const value = await nix.expression(
      'let c = nixos { qmpilot.enable = true; qmpilot.shell.consoles = [ "hvc3" ]; boot.consoleLogLevel = 3; boot.kernel.sysctl."kernel.sysrq" = 0; services.getty.autologinUser = "ann"; }; in { units = builtins.attrNames c.systemd.services; level = c.boot.consoleLogLevel; inherit (c.boot.kernel) sysctl; user = c.services.getty.autologinUser; }',
    );
    expect(value).toEqual({
      units: ['qmpilot-shell-hvc3', 'serial-getty@hvc3'],
      level: 3,
      sysctl: { 'kernel.sysrq': 0 },
      user: 'ann',
    });
  });

  it('has the last word on the guest agent, which qemu-vm.nix would start by itself', async () => {
    const agent = (more: string) =>
      nix.expression(
        `(nixos { imports = [ (flake + "/tests/nix/nixpkgs/nixos/modules/virtualisation/qemu-vm.nix") ]; qmpilot.enable = true; ${more} }).services.qemuGuest.enable`,
      );
    expect(await agent('')).toBe(true);
    expect(await agent('qmpilot.guestAgent = false;')).toBe(false);
  });

  it('leaves snapshots to the VM that stands beside a configuration without qemu-vm.nix', async () => {
    const value = await nix.expression(
      'let c = nixos { options.virtualisation.vmVariant = lib.mkOption { type = lib.types.anything; default = { }; }; config.qmpilot = { enable = true; snapshot.enable = true; }; }; in builtins.attrNames c.system.build.units',
    );
    expect(value).toEqual(['qmpilot-shell-hvc0', 'qmpilot-shell-hvc1', 'serial-getty@hvc0', 'serial-getty@hvc1']);
  });

  it.each([
    [
      'a console that is none',
      'qmpilot.shell.consoles = [ "ttyS0" ];',
      /qmpilot\.shell\.consoles\.\*' is not of type `string matching/,
    ],
    [
      'a timeout of 0',
      'qmpilot.hungTask.timeout = 0;',
      /qmpilot\.hungTask\.timeout' is not of type `null or positive integer'/,
    ],
    [
      'a level beyond 8',
      'qmpilot.consoleLogLevel = 9;',
      /qmpilot\.consoleLogLevel' is not of type `null or integer between 0 and 8'/,
    ],
    ['a text for a switch', 'qmpilot.snapshot.enable = "yes";', /qmpilot\.snapshot\.enable' is not of type `boolean'/],
    [
      'an option that does not exist',
      'qmpilot.snapshots.enable = true;',
      /The option `qmpilot\.snapshots' does not exist/,
    ],
    [
      'snapshots without a VM',
      'qmpilot.snapshot.enable = true;',
      /needs virtualisation\/qemu-vm\.nix among the imports/,
    ],
    [
      'an interval without a timeout',
      'qmpilot.hungTask.checkInterval = 5;',
      /checkInterval needs qmpilot\.hungTask\.timeout/,
    ],
  ])('refuses %s', async (_what, text, message) => {
    await expect(
      nix.expression(
        `(nixos { qmpilot.enable = true; ${text} }).system.build.units // { c = (nixos { qmpilot.enable = true; ${text} }).qmpilot; }`,
      ),
    ).rejects.toThrow(message);
  });
});

/** What bash says about a script's syntax. */
function bashErrors(script: string): string {
  try {
    execFileSync('bash', ['-n'], { input: script, stdio: ['pipe', 'ignore', 'pipe'] });
    return '';
  } catch (error) {
    return error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
  }
}

describe('nixos({ flake, attribute })', () => {
  let dir: string;
  const path = process.env['PATH'];
  const store = ['NIX_STORE_DIR', 'NIX_STATE_DIR', 'NIX_LOG_DIR', 'NIX_CONFIG'] as const;
  beforeAll(() => {
    if (typeof found === 'string') return;
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
    process.env['PATH'] = `${nix.programs}:${path}`;
    process.env['NIX_STORE_DIR'] = join(dir, 'store');
    process.env['NIX_STATE_DIR'] = join(dir, 'state');
    process.env['NIX_LOG_DIR'] = join(dir, 'log');
    process.env['NIX_CONFIG'] = 'sandbox = false\nbuild-hook =\nbuild-users-group =\nsubstituters =\nflake-registry =';
  });
  afterAll(() => {
    if (typeof found === 'string') return;
    process.env['PATH'] = path;
    for (const name of store) delete process.env[name];
    execFileSync('chmod', ['-R', 'u+w', dir]);
    rmSync(dir, { recursive: true, force: true });
  });
  const guest = (attribute: string) => nixos({ flake: `path:${join(dir, 'flake')}`, attribute });

  it('builds it, shows how it goes, and runs the script that came out', async () => {
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
  ])('passes on what nix says of %s', async (_what, attribute, code, message) => {
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

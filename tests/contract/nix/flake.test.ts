import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../nix/nix-harness.js';
import { bashErrors, useNix } from '../../support/nix.js';

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

const host = useNix();

describe('the .nix files', () => {
  it('are all of them syntactically Nix', async () => {
    expect(nixFiles).toContain('nix/modules/qmpilot.nix');
    await host.nix.run('nix-instantiate', '--parse', ...nixFiles.map((file) => join(ROOT, file)));
  });

  it('keep to the layout of nixfmt where that can be checked without it', () => {
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
      await host.nix.run(
        'nix',
        'flake',
        'metadata',
        '--json',
        '--offline',
        '--no-update-lock-file',
        '--store',
        join(host.nix.flake, '../store'),
        `path:${host.nix.flake}`,
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
    expect(await host.nix.output('nixosModules', 'builtins.attrNames')).toEqual(['default', 'qmpilot']);
    expect(await host.nix.output('nixosConfigurations', 'builtins.attrNames')).toEqual([
      'nixos-vm',
      'nixos-vm-snapshot',
    ]);
    expect(await host.nix.output('packages', apply)).toEqual({
      'x86_64-linux': ['default', 'nixos-vm', 'nixos-vm-snapshot', 'qmpilot'],
    });
    expect(
      await host.nix.output('apps.x86_64-linux', 'builtins.mapAttrs (_: app: app.type + ":" + baseNameOf app.program)'),
    ).toEqual({ default: 'app:qmpilot', demo: 'app:qmpilot-demo' });
    expect(await host.nix.output('devShells.x86_64-linux.default.type')).toBe('derivation');
    expect(await host.nix.output('formatter.x86_64-linux.type')).toBe('derivation');
    expect(await host.nix.output('checks.x86_64-linux', 'builtins.mapAttrs (_: check: check.type)')).toEqual({
      'format': 'derivation',
      'nixos-vm': 'derivation',
      'nixos-vm-snapshot': 'derivation',
      'package': 'derivation',
      'versions': 'derivation',
    });
  });

  it('starts the VM of the bug report by `nix run`: 4 cores, no graphics, root on tmpfs, the store by 9p', async () => {
    const vm = 'nixosConfigurations.nixos-vm.config';
    expect(await host.nix.output(`${vm}.system.build.vm.meta.mainProgram`)).toBe('run-nixos-vm');
    expect(
      await host.nix.output(
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
      await host.nix.output(
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
    const packages = await host.nix.output(`${vm}.environment.systemPackages`, 'map (p: p.name)');
    expect(packages).toEqual(
      expect.arrayContaining(['nodejs-22.4.1', 'tmux-3.4', 'strace-6', 'gdb-14.2', 'fix-stty-size', 'reproducer']),
    );
  });

  it('starts three panes on the first login: the loop, ps, and the kill that waits for Enter', async () => {
    const apply = 'packages: (builtins.head (builtins.filter (p: p.name == "reproducer") packages)).text';
    const script = String(
      await host.nix.output('nixosConfigurations.nixos-vm.config.environment.systemPackages', apply),
    );
    expect(bashErrors(script)).toBe('');
    expect(script.match(/send-keys .*/g)).toEqual([
      "send-keys -t npm-ci 'while true; do npm ci; done' Enter",
      'send-keys -t npm-ci "watch -d \'ps -p \\$(pidof \\"npm ci\\") u\'" Enter',
      'send-keys -t npm-ci \'kill -9 $(pidof "npm ci")\'',
    ]);
    // Without graphics nobody sees tty1, which is 80x25.
    expect(script).toMatch(/= \/dev\/tty1 \]; then\s+exec tmux attach-session -f ignore-size -t npm-ci/);
    const login = String(await host.nix.output('nixosConfigurations.nixos-vm.config.programs.bash.loginShellInit'));
    expect(bashErrors(login)).toBe('');
    expect(login).toContain('reproducer');
    expect(
      String(await host.nix.output('nixosConfigurations.nixos-vm-snapshot.config.programs.bash.loginShellInit')),
    ).not.toContain('reproducer');
  });

  it('gives the snapshot VM no 9p share, its store in an image, a qcow2 for the state, and the devices of qmpilot', async () => {
    const vm = 'nixosConfigurations.nixos-vm-snapshot.config';
    expect(
      await host.nix.output(
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
      await host.nix.output(
        `${vm}.boot`,
        'b: { inherit (b) kernelParams consoleLogLevel; inherit (b.kernel) sysctl; inherit (b.initrd) kernelModules; }',
      ),
    ).toEqual({
      kernelParams: ['loglevel=7', 'sysrq_always_enabled=1'],
      consoleLogLevel: 7,
      sysctl: { 'kernel.sysrq': 1, 'kernel.hung_task_timeout_secs': 10, 'kernel.hung_task_check_interval_secs': 5 },
      kernelModules: ['virtio_pci', 'virtio_console'],
    });
    const script = String(await host.nix.output(`${vm}.system.build.vm.buildCommand`));
    expect(script).not.toContain('-virtfs');
    expect(script).toMatch(/\$QEMU_OPTS "\$@"\s*$/);
    expect(bashErrors(script)).toBe('');
  });

  it('gives each console a shell that no shutdown stops, and no getty', async () => {
    const units = await host.nix.output('nixosConfigurations.nixos-vm-snapshot.config.system.build.units');
    expect(Object.keys(units ?? {})).toEqual([
      'qmpilot-shell-hvc0',
      'qmpilot-shell-hvc1',
      'serial-getty@hvc0',
      'serial-getty@hvc1',
    ]);
    expect(units).toMatchObject({ 'serial-getty@hvc0': '/dev/null', 'serial-getty@hvc1': '/dev/null' });
    const text = String(
      await host.nix.output('nixosConfigurations.nixos-vm-snapshot.config.system.build.units.qmpilot-shell-hvc1'),
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
    const value = await host.nix.expression(
      '(pkgs.callPackage (flake + "/nix/npm.nix") { nodejs = pkgs.nodejs_22; }).ofPackageLock (flake + "/packages/core/guest/npm-project/package-lock.json")',
    );
    const lock = JSON.parse(readFileSync(join(ROOT, 'packages/core/guest/npm-project/package-lock.json'), 'utf8')) as {
      packages: Record<string, { integrity?: string }>;
    };
    const integrities = new Set(Object.values(lock.packages).flatMap(({ integrity }) => integrity ?? []));
    expect(new Set((value as { integrity: string }[]).map(({ integrity }) => integrity))).toEqual(integrities);
  });

  it('takes from pnpm-lock.yaml what is installed here, and nothing of other platforms', async () => {
    const value = await host.nix.expression(
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
    const phase = String(await host.nix.output('packages.x86_64-linux.default.buildPhase'));
    expect(bashErrors(phase)).toBe('');
    expect(bashErrors(String(await host.nix.output('packages.x86_64-linux.default.installPhase')))).toBe('');
  });
});

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, nixos, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeStartScript } from '../../../nix/start-script.js';

const TAGS = ['nix-store', 'shared', 'xchg'];
/** QEMU's own words: hw/9pfs/9p.c. */
const REASON =
  /^Migration is disabled when VirtFS export path '.+' is mounted in the guest using mount_tag '([\w-]+)'$/;

describe('the stock NixOS VM: root on tmpfs, and its three 9p shares mounted in the guest', () => {
  let dir: string;
  let vm: Vm;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'qmpilot-shares-test-'));
    const script = await writeStartScript(dir, { root: 'tmpfs', shares: 'mounted', module: 'off' });
    mkdirSync(join(dir, 'shared'));
    writeFileSync(join(dir, 'shared/hello'), 'from the host\n');
    vm = await boot(nixos({ script, env: { SHARED_DIR: join(dir, 'shared') } }));
  });
  afterAll(async () => {
    await vm?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it('is driven as it is: commands, console, and files of the host by its shares', async () => {
    const { stdout } = await vm.exec(
      'findmnt -no SOURCE,TARGET -t 9p | sort; cat /tmp/shared/hello; ls /nix/.ro-store | grep -c .; echo hi > /tmp/shared/back',
    );
    expect(stdout).toMatch(
      /^nix-store +\/nix\/\.ro-store\nshared +\/tmp\/shared\nxchg +\/tmp\/xchg\nfrom the host\n[1-9]\d*\n$/,
    );
    expect(readFileSync(join(dir, 'shared/back'), 'utf8')).toBe('hi\n');
    await vm.console.type('echo "$((6 * 7)) is the answer"\n');
    await vm.console.expect('42 is the answer');
  });

  it('says before a snapshot is tried which shares stand in its way, and which module option fixes it', async () => {
    for (const strategy of [undefined, 'file', 'internal'] as const) {
      const blockers = await vm.snapshotBlockers({ ...(strategy && { strategy }) });
      const shares = blockers.filter(({ reason }) => REASON.test(reason));
      expect(new Set(shares.map(({ reason }) => REASON.exec(reason)?.[1]))).toEqual(new Set(TAGS));
      for (const { remedy } of shares)
        expect(remedy).toMatch(/^unmount the 9p share in the guest.* qmpilot\.snapshot\.enable = true/);
    }
  });

  it.each([undefined, 'file', 'internal'] as const)(
    'refuses the snapshot (strategy %s), and goes on',
    async (strategy) => {
      await expect(vm.snapshot('refused', { ...(strategy && { strategy }) })).rejects.toMatchObject({
        code: 'SNAPSHOT',
        message: expect.stringMatching(/^this VM cannot be saved: .*'nix-store'.*/),
        hint: expect.stringMatching(
          /nixosModules\.qmpilot and set qmpilot\.snapshot\.enable = true.*virtualisation\.useNixStoreImage = true/,
        ),
      });
      expect((await vm.exec('cat /tmp/shared/hello')).stdout).toBe('from the host\n');
    },
  );

  it('can be saved, restored and forked once the guest has unmounted them; a fork can mount them again', async () => {
    await vm.expectOk('umount /nix/.ro-store /tmp/xchg /tmp/shared; echo one > /root/state');
    expect(await vm.snapshotBlockers()).toEqual([]);
    expect(await vm.snapshotBlockers({ strategy: 'internal' })).toEqual([
      {
        reason: expect.stringMatching(/needs a writable qcow2 disk/),
        remedy: expect.stringMatching(/strategy 'template'/),
      },
    ]);
    await vm.snapshot('unmounted');
    await vm.expectOk('echo two > /root/state');
    const fork = await vm.fork('unmounted');
    try {
      expect(
        (
          await fork.exec(
            'cat /root/state; mount -t 9p -o trans=virtio,version=9p2000.L shared /tmp/shared; cat /tmp/shared/hello',
          )
        )?.stdout,
      ).toBe('one\nfrom the host\n');
    } finally {
      await fork.close();
    }
    await vm.restore('unmounted');
    expect((await vm.exec('cat /root/state')).stdout).toBe('one\n');
  });

  it('powers off', async () => {
    expect(await vm.poweroff({ timeout: '1m' })).toMatchObject({ outcome: 'clean' });
  });
});

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { nixos } from '@qmpilot/core';
import { describe, expect, it } from 'vitest';
import { dir, QEMU, script, started } from '../../../support/start-script.js';

describe('a snapshot of nixos({ script })', () => {
  it('says that a virtiofs share keeps the VM from being saved, in whichever way, and how to fix it', async () => {
    // Debian's virtiofsd wants to be root, in a namespace of its own at least.
    const asRoot =
      process.getuid?.() === 0
        ? ''
        : `unshare --map-root-user --mount sh -c 'mount -t tmpfs run /run && exec "$@"' sh `;
    const path = script(
      'mkdir "$TMPDIR/share"',
      `${asRoot}/usr/lib/qemu/virtiofsd --socket-path="$TMPDIR/fs" -o source="$TMPDIR/share" -o sandbox=chroot > /dev/null 2>&1 &`,
      'until [ -S "$TMPDIR/fs" ]; do sleep 0.05; done',
      `${QEMU} -object memory-backend-memfd,id=memory,size=64M,share=on -machine memory-backend=memory -chardev socket,id=fs,path="$TMPDIR/fs" -device vhost-user-fs-pci,chardev=fs,tag=src "$@"`,
    );
    await started(nixos({ script: path }), async (vm) => {
      const ofQemu = {
        reason: expect.stringMatching(/^non-migratable device: .*\/vhost-user-fs$/),
        remedy: expect.stringMatching(/leave the virtiofs share out of the guest.*qmpilot\.snapshot\.enable = true/),
      };
      expect(await vm.snapshotBlockers({ strategy: 'internal' })).toContainEqual(ofQemu);
      expect(await vm.snapshotBlockers({ strategy: 'file' })).toEqual([
        ofQemu,
        {
          reason: expect.stringMatching(/virtiofs share 'src'\) is served by a process outside of QEMU/),
          remedy: expect.stringMatching(/leave that share/),
        },
      ]);
      await expect(vm.snapshot('refused')).rejects.toMatchObject({
        code: 'SNAPSHOT',
        message: expect.stringMatching(/cannot be saved: non-migratable device/),
        hint: expect.stringMatching(/virtiofs share/),
      });
    });
  });

  it('says that a fork can have no overlay of a disk in a format that is neither qcow2 nor raw', async () => {
    execFileSync('qemu-img', ['create', '-q', '-f', 'vmdk', join(dir, 'their.vmdk'), '1M']);
    await started(
      nixos({ script: script(`${QEMU} -drive file=${dir}/their.vmdk,if=virtio,id=their "$@"`) }),
      async (vm) => {
        expect(await vm.snapshotBlockers({ strategy: 'file' })).toContainEqual({
          reason: expect.stringMatching(/their\.vmdk\) has the format vmdk/),
          remedy: expect.stringMatching(/convert/),
        });
        await expect(vm.snapshot('refused', { strategy: 'file' })).rejects.toMatchObject({
          code: 'SNAPSHOT',
          message: expect.stringMatching(/vmdk/),
        });
      },
    );
  });

  it('says that a forwarded port of the host belongs to one QEMU, before a second one is started', async () => {
    const path = script(`${QEMU} -netdev user,id=user.0,"$QEMU_NET_OPTS" -device virtio-net-pci,netdev=user.0 "$@"`);
    await started(nixos({ script: path, env: { QEMU_NET_OPTS: 'hostfwd=tcp:127.0.0.1:0-:22' } }), async (vm) => {
      expect(await vm.snapshotBlockers({ strategy: 'file' })).toEqual([
        {
          reason: expect.stringMatching(/^it has a port of the host \(hostfwd=tcp:127\.0\.0\.1:0-:22\)/),
          remedy: expect.stringMatching(/QEMU_NET_OPTS/),
        },
      ]);
      await expect(vm.snapshot('refused', { strategy: 'file' })).rejects.toMatchObject({
        code: 'SNAPSHOT',
        message: expect.stringMatching(/cannot be restored in another QEMU: it has a port of the host/),
      });
      await expect(vm.snapshot('refused')).rejects.toMatchObject({
        code: 'SNAPSHOT',
        message: expect.stringMatching(/needs a writable qcow2 disk/),
        hint: expect.stringMatching(/stateDiskMiB.*hostfwd/),
      });
    });
  });
});

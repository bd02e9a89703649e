import { execFileSync } from 'node:child_process';
import { appendFileSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildDebianImage } from '@qmpilot/core/guests';
import { ROOT } from './nix-harness.js';

export interface StartScript {
  readonly root?: 'disk' | 'tmpfs';
  /** The 9p shares of qemu-vm.nix; `mounted`: the guest mounts them, as the stock one does, which takes a kernel that has 9p. */
  readonly shares?: 'on' | 'mounted' | 'off';
  /** As `virtualisation.useEFIBoot`, with Debian's OVMF. */
  readonly efi?: 'on' | 'off';
  /** As `virtualisation.tpm.enable`: swtpm. */
  readonly tpm?: 'on' | 'off';
  readonly graphics?: 'on' | 'off';
  /**
   * `off`: a guest without `nixosModules.qmpilot`. It has no units of ours, and the getty that systemd starts on hvc0. Only with the root
   * on tmpfs.
   */
  readonly module?: 'on' | 'off';
  /** `off`: nobody is logged in on the consoles, as with `qmpilot.serial.autologin = null`. Only with the root on tmpfs. */
  readonly autologin?: 'on' | 'off';
  /** An empty qcow2 as `virtualisation.emptyDiskImages` makes it. */
  readonly emptyDisk?: 'on' | 'off';
  /** As `virtualisation.qemu.options`: words of the shell. */
  readonly options?: string;
  /** As `virtualisation.diskImage`. */
  readonly diskImage?: string;
}

/** Writes `bin/run-nixos-vm` into a folder; it boots the Debian guest. */
export async function writeStartScript(folder: string, settings: StartScript = {}): Promise<string> {
  const image = await buildDebianImage({ defect: 'io-uring-unlocked-flush' });
  const {
    root = 'disk',
    shares = 'off',
    graphics = 'off',
    module = 'on',
    autologin = 'on',
    emptyDisk = 'off',
    efi = 'off',
    tpm = 'off',
    options = '',
    diskImage = './nixos.qcow2',
  } = settings;
  mkdirSync(join(folder, 'bin'), { recursive: true });
  let { initrd } = image;
  let { kernel } = image;
  if (root === 'tmpfs') {
    initrd = join(folder, 'initrd');
    copyFileSync(image.initrd, initrd);
    const drivers = shares === 'mounted' ? fetched('fetch-kernel.sh') : undefined;
    if (drivers) kernel = join(drivers, 'vmlinuz');
    appendFileSync(initrd, archive({ init: tmpfsInit(module, autologin), ...(drivers && driverFiles(drivers)) }));
  }
  const values = {
    qemu_img: 'qemu-img',
    qemu: process.env['QMPILOT_QEMU'] || 'qemu-system-x86_64',
    kernel,
    initrd,
    image: image.disk,
    name: 'nixos',
    memory: '768',
    cores: '2',
    root,
    shares,
    graphics,
    empty_disk: emptyDisk,
    options,
    efi: efi === 'on' ? fetched('fetch-ovmf.sh') : 'off',
    tpm,
    disk_image: diskImage,
  };
  const header = Object.entries(values).map(([name, value]) => `${name}='${value.replaceAll("'", `'\\''`)}'`);
  const path = join(folder, 'bin', 'run-nixos-vm');
  writeFileSync(
    path,
    ['#!/bin/bash', ...header, readFileSync(join(ROOT, 'tests/nix/start-script.sh'), 'utf8')].join('\n'),
    { mode: 0o755 },
  );
  return path;
}

const WITHOUT_MODULE = `
cd /root/etc/systemd/system
busybox rm serial-getty@hvc*.service sysinit.target.wants/qmpilot-shell@hvc*.service qmpilot-shell@.service
cd /
`;
const WITHOUT_AUTOLOGIN = `
busybox rm -r /root/etc/systemd/system/serial-getty@.service.d /root/etc/systemd/system/getty@tty1.service.d
`;

/** The root is a tmpfs over what the store's disk holds, as on a NixOS with `virtualisation.diskImage = null`. */
const tmpfsInit = (module: 'on' | 'off', autologin: 'on' | 'off') => `#!/bin/busybox sh
export PATH=/bin
busybox mount -t devtmpfs dev /dev
drivers=/modules
[ -e /drivers/order ] && drivers=/drivers
while read -r module; do busybox insmod "$drivers/$module"; done < $drivers/order
until [ -b /dev/vda ]; do busybox sleep 0.1; done
busybox mkdir -p /store /memory
busybox mount -t ext4 -o ro /dev/vda /store
[ -e /drivers/order ] || busybox insmod /store/lib/modules/*/kernel/fs/overlayfs/overlay.ko
busybox mount -t tmpfs -o mode=755 root /memory
busybox mkdir /memory/upper /memory/work
busybox mount -t overlay -o lowerdir=/store,upperdir=/memory/upper,workdir=/memory/work root /root
if [ -e /drivers/order ]; then
  for share in 'nix-store /nix/.ro-store' 'xchg /tmp/xchg' 'shared /tmp/shared'; do
    set -- $share
    busybox mkdir -p "/root$2"
    busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=16384 "$1" "/root$2"
  done
fi
${module === 'off' ? WITHOUT_MODULE : ''}${autologin === 'off' ? WITHOUT_AUTOLOGIN : ''}
exec busybox switch_root /root /sbin/init
`;

/** The folder that a script of tools/debian has put into the cache, by the host's apt. */
function fetched(script: 'fetch-kernel.sh' | 'fetch-ovmf.sh'): string {
  return execFileSync('sh', [join(ROOT, 'tools/debian', script)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}

function driverFiles(folder: string): Record<string, Buffer> {
  const names = ['order', ...readFileSync(join(folder, 'order'), 'utf8').trim().split('\n')];
  return Object.fromEntries(names.map((name) => [`drivers/${name}`, readFileSync(join(folder, name))]));
}

/** A cpio archive (newc) with executable files, in `drivers/` or beside it: the kernel lays it over those before it. */
function archive(files: Readonly<Record<string, string | Buffer>>): Buffer {
  const padded = (data: Buffer) => Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
  const entry = (name: string, data: Buffer, mode: number) => {
    const fields = [1, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, name.length + 1, 0];
    const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
    return Buffer.concat([padded(Buffer.from(head)), padded(data)]);
  };
  const members = Object.entries(files).map(([name, content]) => entry(name, Buffer.from(content), 0o100755));
  return Buffer.concat([
    entry('drivers', Buffer.alloc(0), 0o040755),
    ...members,
    entry('TRAILER!!!', Buffer.alloc(0), 0),
  ]);
}

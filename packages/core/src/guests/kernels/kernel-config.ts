import { gunzipSync } from 'node:zlib';

/** The options that a kernel was built with: `y`, `m`, or a value. One that is not set is missing. */
export type KernelConfig = ReadonlyMap<string, string>;

/** Reads a `.config` file; the names are without `CONFIG_`. */
export function parseKernelConfig(text: string): KernelConfig {
  const config = new Map<string, string>();
  for (const [, name, value] of text.matchAll(/^CONFIG_(\w+)=(.*)$/gm))
    if (name !== undefined && value !== undefined) config.set(name, value);
  return config;
}

/** The configuration in a kernel with CONFIG_IKCONFIG: a gzip file between two marks. */
export function embeddedConfig(vmlinux: Buffer): string | undefined {
  const start = vmlinux.indexOf('IKCFG_ST\x1f\x8b', 0, 'latin1');
  const end = vmlinux.indexOf('IKCFG_ED', start, 'latin1');
  if (start < 0 || end < 0) return undefined;
  try {
    return gunzipSync(vmlinux.subarray(start + 8, end)).toString('utf8');
  } catch {
    return undefined;
  }
}

/** What a guest with systemd and qmpilot's consoles needs of its kernel. */
const BUILT_IN = [
  '64BIT',
  'BINFMT_ELF',
  'BINFMT_SCRIPT',
  'BLK_DEV_INITRD',
  'CGROUPS',
  'DEVTMPFS',
  'EPOLL',
  'FHANDLE',
  'FUTEX',
  'INOTIFY_USER',
  'MULTIUSER',
  'PCI',
  'PRINTK',
  'PROC_FS',
  'SERIAL_8250_CONSOLE',
  'SIGNALFD',
  'SYSFS',
  'TIMERFD',
  'TMPFS',
  'UNIX',
  'UNIX98_PTYS',
];

/** The same, that may be modules, as they are loaded from the initrd. */
export const DRIVERS: ReadonlyMap<string, string> = new Map([
  ['VIRTIO_PCI', 'virtio_pci'],
  ['VIRTIO_BLK', 'virtio_blk'],
  ['VIRTIO_CONSOLE', 'virtio_console'],
  ['EXT4_FS', 'ext4'],
]);

export interface ConfigNeeds {
  /** Whether modules of the kernel are there. */
  readonly hasModules: boolean;
  /** Whether the guest has a network card. */
  readonly network: boolean;
  /** Whether the guest mounts folders of the host. */
  readonly shares?: boolean;
}

/** What the guest misses of this configuration: `CONFIG_UNIX=y`, ... */
export function missingOptions(config: KernelConfig, { hasModules, network, shares = false }: ConfigNeeds): string[] {
  const drivers = [
    ...DRIVERS.keys(),
    ...(network ? ['VIRTIO_NET'] : []),
    ...(shares ? ['9P_FS', 'NET_9P_VIRTIO'] : []),
  ];
  const fits = (name: string) => config.get(name) === 'y' || (hasModules && config.get(name) === 'm');
  return [
    ...BUILT_IN.filter((name) => config.get(name) !== 'y').map((name) => `CONFIG_${name}=y`),
    ...drivers.filter((name) => !fits(name)).map((name) => `CONFIG_${name}=y`),
  ];
}

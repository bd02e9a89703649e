import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageFolder } from '../../util/files/package-folder.js';

/** A file or symbolic link that a root file system gets. */
export interface RootfsEntry {
  /** Absolute path in the guest. */
  readonly path: string;
  /** Content of a file. */
  readonly content?: string;
  /** Target of a symbolic link. */
  readonly link?: string;
  /** What it is for, for people. */
  readonly why: string;
}

const UNITS = '/etc/systemd/system';
/** Virtio consoles with a root shell: the first is for commands, the second for detectors. */
const SHELLS = ['hvc0', 'hvc1'] as const;
/** Consoles that a getty of the guest must leave alone: QEMU's virtio consoles are terminals, and get one by themselves. */
const CONSOLES = ['hvc0', 'hvc1', 'hvc2', 'hvc3'] as const;

/** What a root file system with systemd needs for qmpilot: the same files that the Debian images have. */
export async function rootfsEntries(): Promise<RootfsEntry[]> {
  const rootfs = join(packageFolder(), 'guest', 'rootfs');
  const unit = `${UNITS}/qmpilot-shell@.service`;
  const autologin = `${UNITS}/serial-getty@.service.d/autologin.conf`;
  return [
    {
      path: unit,
      content: await readFile(join(rootfs, unit), 'utf8'),
      why: 'a root shell on a virtio console, which answers from early boot until the end of a shutdown',
    },
    ...SHELLS.map((console) => ({
      path: `${UNITS}/sysinit.target.wants/qmpilot-shell@${console}.service`,
      link: '../qmpilot-shell@.service',
      why: `starts that shell on ${console}`,
    })),
    ...CONSOLES.map((console) => ({
      path: `${UNITS}/serial-getty@${console}.service`,
      link: '/dev/null',
      why: `keeps a login prompt off ${console}`,
    })),
    {
      path: autologin,
      content: await readFile(join(rootfs, autologin), 'utf8'),
      why: 'logs root in on the serial console',
    },
  ];
}

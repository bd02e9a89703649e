import type { QemuBinary } from '../qemu/host/binary.js';
import type { HostDirectories } from '../qemu/host/directories.js';

/** Directories and QEMU with which a VM's files are made. */
export interface SnapshotContext {
  readonly binary: QemuBinary;
  readonly directories: HostDirectories;
}

import type { KernelReader } from '../kernel-types.js';
import type { KernelSymbols } from '../symbols/kernel-symbols.js';
import { memberAt } from './member-at.js';

const MAX_SUPER_BLOCKS = 10_000;
/** `sb_writers.frozen`: include/linux/fs.h */
const FREEZE_STATES = ['', 'frozen for writes', 'frozen for page faults', 'frozen for internal use', 'frozen'];

export interface FileSystemLock {
  /** `s_writers.rw_sem[0]` */
  readonly member: string;
  /** `vdb (ext4)`; text of the guest. */
  readonly fileSystem: string;
  /** `frozen`, as fsfreeze leaves it; empty when it is not. */
  readonly freeze: string;
}

/** The file system whose super block holds a lock. */
export function fileSystemLock(
  kernel: KernelReader,
  symbols: KernelSymbols,
  lock: bigint,
  struct: string,
): FileSystemLock | undefined {
  const head = symbols.address('super_blocks');
  const [type, size] = [kernel.btf.struct('super_block'), kernel.btf.size('super_block')];
  if (head === undefined || type === undefined || size === undefined) return undefined;
  const { entries } = kernel.list(head, 'super_block', 's_list', MAX_SUPER_BLOCKS);
  const block = entries.find((at) => lock >= at && lock < at + BigInt(size));
  if (block === undefined) return undefined;
  return {
    member: memberAt(kernel, type, Number(lock - block), struct) ?? '',
    fileSystem: nameOf(kernel, block),
    freeze: FREEZE_STATES[kernel.number(block, 'super_block', 's_writers.frozen') ?? 0] ?? '',
  };
}

/** `page 12 of inode 45 on vda (ext4)`; undefined for a page that belongs to no file. */
export function filePage(kernel: KernelReader, page: bigint): string | undefined {
  const mapping = kernel.pointer(page, 'page', 'mapping') ?? 0n;
  // Low bits mark anonymous and movable pages.
  if (mapping === 0n || (mapping & 3n) !== 0n) return undefined;
  const inode = kernel.pointer(mapping, 'address_space', 'host') ?? 0n;
  const number = kernel.pointer(inode, 'inode', 'i_ino');
  const block = kernel.pointer(inode, 'inode', 'i_sb');
  const index = kernel.pointer(page, 'page', 'index');
  if (number === undefined || block === undefined || index === undefined) return undefined;
  return `page ${index} of inode ${number} on ${nameOf(kernel, block)}`;
}

function nameOf(kernel: KernelReader, block: bigint): string {
  const device = kernel.text(block, 'super_block', 's_id', 32) ?? '?';
  const type = kernel.pointer(block, 'super_block', 's_type') ?? 0n;
  const name = kernel.memory.text(kernel.pointer(type, 'file_system_type', 'name') ?? 0n, 32);
  return name === undefined ? device : `${device} (${name})`;
}

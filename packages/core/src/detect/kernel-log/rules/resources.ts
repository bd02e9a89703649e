import type { Rule } from '../rule.js';
import { COMMON_SKIP } from '../rule.js';

const DEVICE = '\\([^)]{0,64}\\)';

/** mm/kmemleak.c, net/core/dev.c, fs/super.c, fs/dcache.c, mm/oom_kill.c, block/blk-core.c, fs/buffer.c and the file systems' own error lines */
export const RESOURCES: readonly Rule[] = [
  {
    kind: 'memory-leak',
    severity: 'error',
    literals: ['BUG: memory leak', 'unreferenced object 0x'],
    pattern: /^(?:BUG: memory leak|(?:kmemleak: )?unreferenced object 0x[0-9a-f]+ \(size \d+\):)/,
    title: 'memory leak in {function}',
    from: 'trace',
    skip: [...COMMON_SKIP, 'leak'],
    continues: ['memory-leak'],
  },
  {
    kind: 'memory-leak',
    severity: 'warning',
    literals: ['suspected memory leaks'],
    pattern: /^kmemleak: \d+ new suspected memory leaks/,
    title: 'kmemleak: new suspected memory leaks',
    from: 'none',
    single: true,
  },
  {
    kind: 'netdevice-leak',
    severity: 'error',
    literals: ['unregister_netdevice: waiting for'],
    pattern: /^unregister_netdevice: waiting for (?<device>[^ ]{1,32}) to become free/,
    title: 'unregister_netdevice: waiting for DEV to become free',
    from: 'none',
    single: true,
  },
  {
    kind: 'busy-inodes',
    severity: 'error',
    literals: ['Busy inodes after unmount'],
    pattern: /^VFS: Busy inodes after unmount of/,
    title: 'VFS: Busy inodes after unmount (use-after-free)',
    from: 'none',
    patience: 2,
  },
  {
    kind: 'busy-inodes',
    severity: 'error',
    literals: ['VFS: Close: file count is 0'],
    pattern: /^VFS: Close: file count is 0/,
    title: 'VFS: Close: file count is zero (use-after-free)',
    from: 'none',
    single: true,
  },
  {
    kind: 'busy-inodes',
    severity: 'error',
    literals: ['still in use'],
    pattern: /^BUG: Dentry .{1,400} still in use \(-?\d+\) {1,2}\[(?<what>unmount) of [^\]]{1,64}\]/,
    title: 'BUG: Dentry still in use in {what}',
    from: 'none',
  },
  {
    kind: 'filesystem-error',
    severity: 'warning',
    literals: ['EXT4-fs error', 'EXT3-fs error', 'EXT2-fs error'],
    pattern: new RegExp(`^(?<what>EXT[234]-fs error) ?${DEVICE}: (?<function>[a-z]\\w{1,64})(?::\\d+)?`),
    title: '{what} in {function}',
    from: 'header',
    single: true,
  },
  {
    kind: 'filesystem-error',
    severity: 'warning',
    literals: ['XFS (', 'BTRFS', 'F2FS-fs', 'FAT-fs', 'JBD2: ', 'EXT4-fs', 'SQUASHFS error', 'EROFS', 'NILFS', 'gfs2: '],
    pattern: new RegExp(
      `^(?:(?<xfs>XFS) ${DEVICE}: (?:Metadata (?:corruption|CRC error|I/O error)|Corruption (?:warning|detected|of in-memory)|metadata I/O error|log I/O error|Filesystem has been shut down|Internal error)|(?<btrfs>BTRFS)(?:: | )(?:error|critical)[ :]|(?<f2fs>F2FS-fs) ${DEVICE}: .{0,40}(?:corrupt|inconsistent|fail)|(?<fat>FAT-fs) ${DEVICE}: error|(?<jbd>JBD2): (?:Detected IO errors|Error -?\\d+ detected)|(?<ext4>EXT4-fs) ${DEVICE}: (?:Remounting filesystem read-only|previous I/O error|delayed block allocation failed|failed to convert)|(?<squash>SQUASHFS) error: |(?<nilfs>NILFS) ${DEVICE}: (?:error|bad)|(?<gfs>gfs2): fsid=[^ ]{1,64} (?:fatal|withdraw))`,
    ),
    title: 'file system error: {xfs}{btrfs}{f2fs}{fat}{jbd}{ext4}{squash}{nilfs}{gfs}',
    from: 'none',
    single: true,
  },
  {
    kind: 'io-error',
    severity: 'warning',
    literals: ['I/O error', 'critical '],
    pattern:
      /^(?:blk_update_request: |print_req_error: |end_request: )?(?:(?:critical )?I\/O error, dev (?!fd\d)(?<dev>[\w.!-]{1,32}), sector|Buffer I\/O error on dev(?:ice)? (?!fd\d)(?<dev2>[\w.!-]{1,32})|critical (?:medium|target|space allocation|nexus) error, dev (?<dev3>[\w.!-]{1,32}), sector|lost async page write)/,
    title: 'I/O error on {dev}{dev2}{dev3}',
    from: 'none',
    single: true,
  },
  {
    kind: 'io-error',
    severity: 'warning',
    literals: ['NETDEV WATCHDOG: '],
    pattern: /^[\w.-]{1,64} [\w.:-]{1,64} (?<dev>[\w.-]{1,32})(?: \([^)]{1,64}\))?: NETDEV WATCHDOG: CPU: \d+: transmit queue/,
    title: 'NETDEV WATCHDOG: {dev}: transmit queue timed out',
    from: 'none',
    single: true,
  },
  {
    kind: 'oom-kill',
    severity: 'warning',
    literals: ['ut of memory'],
    pattern:
      /^(?<what>Memory cgroup out of memory|Out of memory)(?: \([^)]{1,64}\))?: Kill(?:ed)? process (?<pid>\d{1,10}) \((?<comm>.{1,64}?)\)(?:[ ,]|$)/,
    title: '{what}: Killed process {comm}',
    from: 'none',
    single: true,
  },
];

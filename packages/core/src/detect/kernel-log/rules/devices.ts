import { union } from '../../union.js';
import type { Rule } from './rule.js';

const NAME = '[\\w.!-]{1,32}';
const IO_ERROR = { kind: 'io-error', severity: 'warning', from: 'none', single: true, device: true } as const;
const STALLED = { kind: 'storage-stall', severity: 'warning', from: 'none', single: true, device: true } as const;
const GPU = { kind: 'gpu-hang', severity: 'warning', from: 'none', single: true } as const;

/** block/blk-core.c, fs/buffer.c, drivers/{nvme,md,ata,scsi,gpu}, fs/{nfs,smb,ceph}, net/sched/sch_generic.c, kernel/irq/spurious.c */
export const DEVICES: readonly Rule[] = [
  {
    ...IO_ERROR,
    literals: ['I/O error', ' error, dev '],
    // Not "operation not supported": healthy disks without discard answer so.
    pattern: new RegExp(
      `^(?:blk_update_request: |print_req_error: |end_request: )?${union([
        `(?:critical )?I/O error, dev (?!fd\\d)(?<dev>${NAME}), sector`,
        `Buffer I/O error on dev(?:ice)? (?!fd\\d)(?<dev2>${NAME})`,
        `(?!operation not supported)[a-z][\\w /]{2,40} error, dev (?!fd\\d)(?<dev3>${NAME}), sector`,
        'lost async page write',
      ])}`,
    ),
    title: 'I/O error on {dev}{dev2}{dev3}',
  },
  {
    ...IO_ERROR,
    literals: ['nvme nvme'],
    pattern: new RegExp(
      `^nvme (?<dev>nvme\\d{1,4}): ${union([
        'I/O (?:tag )?\\d{1,6} .{0,80}timeout, ',
        'controller is down; will reset',
        'Device not ready; aborting',
        'Disabling device after reset failure',
        'Removing after probe failure',
      ])}`,
    ),
    title: 'I/O timeout on {dev}',
  },
  {
    ...IO_ERROR,
    literals: [': Timeout waiting for hardware '],
    pattern: /^(?<dev>mmc\d{1,4}): Timeout waiting for hardware (?:cmd )?interrupt/,
    title: 'I/O timeout on {dev}',
  },
  {
    ...IO_ERROR,
    literals: [' transferring data, sector '],
    pattern: /^(?<dev>mmcblk\d{1,4}\w{0,8}): error -\d{1,4} transferring data, sector /,
    title: 'I/O error on {dev}',
  },
  {
    ...IO_ERROR,
    literals: ['Disk failure on '],
    pattern: /^md\/\w{1,16}:\w{1,32}: Disk failure on (?<dev>[\w-]{1,32}), disabling device/,
    title: 'disk failure on {dev}',
  },
  {
    ...STALLED,
    literals: ['Cannot continue operation', 'not enough operational '],
    pattern: /^md\/\w{1,16}:(?<dev>\w{1,32}): (?:Cannot continue operation|not enough operational (?:devices|mirrors))/,
    title: 'RAID array {dev} failed',
  },
  {
    ...IO_ERROR,
    literals: [': failed command: '],
    pattern: /^(?<dev>ata\d{1,4}(?:\.\d{1,2})?): failed command: /,
    title: 'ATA command failed on {dev}',
  },
  {
    ...STALLED,
    literals: ['rejecting I/O to '],
    pattern: /^sd \d{1,5}(?::\d{1,5}){3}: (?:\[(?<dev>\w{1,16})\] )?rejecting I\/O to (?:offline|dead) device/,
    title: 'SCSI disk {dev} is offline',
  },
  {
    ...STALLED,
    // It answers again right away.
    revokedBy: /^(?:nfs4?|lockd): server [^ ]{1,255} OK$/,
    single: false,
    literals: ['not responding', 'has not responded in'],
    pattern: new RegExp(
      `^${union([
        '(?<nfs>nfs|nfs4|lockd): server (?<server>[^ ]{1,255}) (?:is )?not responding',
        '(?<cifs>CIFS)(?:: |)(?: ?VFS: )?(?:[\\\\]{2})?(?:Server )?(?<server2>[^ ]{1,255}) has not responded in \\d+ seconds',
      ])}`,
    ),
    title: '{nfs}{cifs} server {server}{server2} not responding',
  },
  {
    ...STALLED,
    literals: ['libceph: ', 'ceph: '],
    pattern:
      /^(?:libceph|ceph)(?: \([^)]{1,80}\))?: (?<dev>osd\d{1,6}|mds\d{1,4}|mon\d{1,3}) (?:[^ ]{1,80} )?(?:down|hung|caps stale)\b/,
    title: 'ceph: {dev} does not respond',
  },
  {
    ...IO_ERROR,
    literals: ['NETDEV WATCHDOG: '],
    pattern:
      /^[\w.-]{1,64} [\w.:-]{1,64} (?<dev>[\w.-]{1,32})(?: \([^)]{1,64}\))?: NETDEV WATCHDOG: CPU: \d+: transmit queue/,
    title: 'NETDEV WATCHDOG: {dev}: transmit queue timed out',
  },
  {
    kind: 'iommu-fault',
    severity: 'warning',
    literals: ['fault addr ', 'IO_PAGE_FAULT', 'nhandled context fault', ' event 0x'],
    pattern: new RegExp(
      `^${union([
        // drivers/iommu/intel/dmar.c
        'DMAR:?(?:\\[fault reason \\d+\\])? ?\\[(?:DMA|INTR-REMAP)[^\\]]{0,32}\\] Request device \\[(?<intel>[\\w:.]{1,16})\\] .{0,24}fault addr',
        // drivers/iommu/amd/iommu.c
        '(?:[\\w-]{1,32} (?<amd>[\\w:.]{1,16}): )?AMD-Vi: Event logged \\[IO_PAGE_FAULT(?: device=(?<amd2>[\\w:.]{1,16}))?',
        // drivers/iommu/arm
        'arm-smmu (?<arm>[\\w:.-]{1,40}): Unhandled context fault: ',
        'arm-smmu-v3 (?<arm2>[\\w:.-]{1,40}): event 0x(?:02|08|10|11|12|13) received:',
      ])}`,
    ),
    title: 'IOMMU fault: {intel}{amd}{amd2}{arm}{arm2}',
    from: 'none',
    single: true,
    device: true,
  },
  {
    kind: 'irq',
    severity: 'warning',
    literals: [': nobody cared'],
    pattern: /^irq \d{1,6}: nobody cared/,
    title: 'irq nobody cared',
    from: 'none',
  },
  {
    ...GPU,
    literals: [' timeout, signaled seq=', ' timeout, but soft recovered'],
    pattern:
      /^(?:\[drm(?::.{1,80}?)?\]{1,2} (?:\*ERROR\* )?)?(?:(?<driver>amdgpu|radeon) [\w:.]{1,32}: (?:amdgpu: )?)?(?:\[drm\] )?(?:\*ERROR\* )?ring [\w.]{1,32} timeout, /,
    title: 'GPU hang: amdgpu',
  },
  {
    ...GPU,
    literals: ['GPU lockup', ' stalled for more than '],
    pattern: /^(?<driver>radeon|nouveau) [\w:.]{1,32}: (?:DRM: )?(?:GPU lockup|ring \d{1,3} stalled for more than)/,
    title: 'GPU hang: {driver}',
  },
  {
    ...GPU,
    literals: ['GPU HANG: ecode'],
    pattern: /^(?:i915 [\w:.]{1,32}: )?\[drm(?::.{1,80}?)?\]{1,2} (?:\*ERROR\* )?GPU HANG: ecode /,
    title: 'GPU hang: i915',
  },
  {
    ...GPU,
    literals: ['Timedout job: ', 'xe 0000'],
    pattern: /^xe [\w:.]{1,32}: \[drm\] (?:\*ERROR\* )?(?:Tile\d: )?GT\d: (?:Timedout job: |Engine reset: )/,
    title: 'GPU hang: xe',
  },
  {
    ...GPU,
    literals: ['gpu lockup', 'gpu sched timeout', 'Resetting GPU for hang', 'sched timeout, '],
    pattern:
      /^(?:\[drm(?::.{1,80}?)?\]{1,2} (?:\*ERROR\* )?)?(?:(?<driver>[\w-]{1,32}) [\w:.-]{1,48}: )?(?:\[drm(?::.{1,80}?)?\]{1,2} )?(?:\*ERROR\* )?(?:[\w.]{1,24}: )?(?:hangcheck detected gpu lockup|gpu sched timeout|Resetting GPU for hang)/,
    title: 'GPU hang: {driver}',
  },
  {
    ...GPU,
    literals: ['NVRM: Xid'],
    pattern: /^NVRM: Xid \([^)]{1,64}\): (?<xid>\d{1,4})\b/,
    title: 'GPU error: NVIDIA Xid {xid}',
    device: true,
  },
  {
    ...GPU,
    literals: ['has fallen off the bus'],
    pattern: /^NVRM: .{0,100}has fallen off the bus/,
    title: 'GPU error: NVIDIA GPU has fallen off the bus',
  },
  {
    kind: 'zfs-panic',
    severity: 'error',
    literals: ['PANIC at '],
    pattern: /^(?:SPL )?PANIC at [\w.-]{1,80}:\d{1,6}:(?<function>\w{1,100})\(\)/,
    title: 'ZFS panic in {function}',
    from: 'header',
    skip: [],
  },
  {
    kind: 'storage-stall',
    severity: 'error',
    literals: ['has been suspended'],
    pattern:
      /^(?:WARNING: )?Pool '(?<pool>[^']{1,256})' has encountered an uncorrectable I\/O failure and has been suspended/,
    title: 'ZFS pool {pool} suspended',
    from: 'none',
    single: true,
    device: true,
  },
];

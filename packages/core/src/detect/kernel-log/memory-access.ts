import type { MemoryAccess } from './kernel-log-finding.js';
import { firstMatch } from './open-report.js';
import type { OpenReport } from './open-report.js';

/** Hardware tags know no size. */
const SIZED_ACCESS = /^(Read|Write) (?:of size (\d+))?(?: ?at addr (?:0x)?([0-9a-f]+))?/;
const FREED = /^Free of addr (?:0x)?([0-9a-f]+)/;
const SUPERVISOR_ACCESS = /^#PF: \w+ (read|write|instruction fetch)/;
const RACE_ACCESS = /^(read|write|read-write)(?: \([^)]{1,40}\))? to 0x([0-9a-f]+) of (\d+) bytes/;
/** mm/kfence/report.c */
const KFENCE_ACCESS = /^(?:Out-of-bounds|Use-after-free|Invalid) (read|write) at 0x([0-9a-f]+)/;
const KFENCE_FREE = /^Invalid free of 0x([0-9a-f]+)/;
/** arch/arm64/mm/fault.c */
const DATA_ABORT = /^\s*CM = \d, WnR = ([01])/;
const INSTRUCTION_ABORT = /^\s*EC = 0x2[01]: IABT/;
/** arch/riscv/kernel/process.c; the codes of the privileged specification. */
const RISCV_CAUSE = /^status: [0-9a-f]+ badaddr: [0-9a-f]+ cause: 0{0,15}([0-9a-f])$/;
const RISCV_ACCESS: Readonly<Record<string, MemoryAccess['kind']>> = { '1': 'execute', '5': 'read', '7': 'write', c: 'execute', d: 'read', f: 'write' };

/** What was done to which memory, as far as the report says. */
export function memoryAccess(report: OpenReport): MemoryAccess | undefined {
  const sized = firstMatch(report, SIZED_ACCESS);
  if (sized !== undefined) {
    return { kind: sized[1] === 'Read' ? 'read' : 'write', ...(sized[2] === undefined ? {} : { size: Number(sized[2]) }), ...(sized[3] === undefined ? {} : { address: sized[3] }) };
  }
  const race = firstMatch(report, RACE_ACCESS);
  if (race !== undefined) {
    return { kind: race[1] === 'read' ? 'read' : 'write', size: Number(race[3]), address: race[2] ?? '' };
  }
  const guarded = firstMatch(report, KFENCE_ACCESS);
  if (guarded !== undefined) return { kind: guarded[1] === 'read' ? 'read' : 'write', address: guarded[2] ?? '' };
  const freed = firstMatch(report, FREED) ?? firstMatch(report, KFENCE_FREE);
  if (freed !== undefined) return { kind: 'free', address: freed[1] ?? '' };
  const { access, address } = report.match.groups ?? {};
  const word = access ?? firstMatch(report, SUPERVISOR_ACCESS)?.[1];
  if (word === undefined && address === undefined) return undefined;
  const kind = word === undefined ? byRegisters(report) : word === 'read' || word === 'write' ? word : 'execute';
  return { kind, ...(address === undefined ? {} : { address }) };
}

/** What the processor says of the access where the kernel's own words do not. */
function byRegisters(report: OpenReport): MemoryAccess['kind'] {
  const writes = firstMatch(report, DATA_ABORT)?.[1];
  if (writes !== undefined) return writes === '1' ? 'write' : 'read';
  if (firstMatch(report, INSTRUCTION_ABORT) !== undefined) return 'execute';
  return RISCV_ACCESS[firstMatch(report, RISCV_CAUSE)?.[1] ?? ''] ?? 'unknown';
}

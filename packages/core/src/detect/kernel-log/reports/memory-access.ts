import type { MemoryAccess } from '../kernel-log-finding.js';
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
const RISCV_ACCESS: Readonly<Record<string, MemoryAccess['kind']>> = {
  '1': 'execute',
  '5': 'read',
  '7': 'write',
  'c': 'execute',
  'd': 'read',
  'f': 'write',
};

/** The kind of access and the memory accessed, where the report has them. */
export function memoryAccess(report: OpenReport): MemoryAccess | undefined {
  switch (report.rule.kind) {
    case 'kasan':
      return sizedAccess(report) ?? freed(report, FREED);
    case 'kcsan':
      return racingAccess(report);
    case 'kfence':
      return guardedAccess(report) ?? freed(report, KFENCE_FREE) ?? faultingAccess(report);
    default:
      return faultingAccess(report);
  }
}

function sizedAccess(report: OpenReport): MemoryAccess | undefined {
  const [, word, size, address] = firstMatch(report, SIZED_ACCESS) ?? [];
  if (word === undefined) return undefined;
  return {
    kind: word === 'Read' ? 'read' : 'write',
    ...(size === undefined ? {} : { size: Number(size) }),
    ...(address === undefined ? {} : { address }),
  };
}

function racingAccess(report: OpenReport): MemoryAccess | undefined {
  const [, word, address, size] = firstMatch(report, RACE_ACCESS) ?? [];
  return word === undefined || address === undefined
    ? undefined
    : { kind: word === 'read' ? 'read' : 'write', size: Number(size), address };
}

function guardedAccess(report: OpenReport): MemoryAccess | undefined {
  const [, word, address] = firstMatch(report, KFENCE_ACCESS) ?? [];
  return word === undefined || address === undefined
    ? undefined
    : { kind: word === 'read' ? 'read' : 'write', address };
}

function freed(report: OpenReport, form: RegExp): MemoryAccess | undefined {
  const address = firstMatch(report, form)?.[1];
  return address === undefined ? undefined : { kind: 'free', address };
}

function faultingAccess(report: OpenReport): MemoryAccess | undefined {
  const { access, address } = report.match.groups ?? {};
  const word = access ?? firstMatch(report, SUPERVISOR_ACCESS)?.[1];
  if (word === undefined && address === undefined) return undefined;
  const kind = word === undefined ? byRegisters(report) : word === 'read' || word === 'write' ? word : 'execute';
  return { kind, ...(address === undefined ? {} : { address }) };
}

/** The access according to the processor, where the kernel's message does not tell. */
function byRegisters(report: OpenReport): MemoryAccess['kind'] {
  const writes = firstMatch(report, DATA_ABORT)?.[1];
  if (writes !== undefined) return writes === '1' ? 'write' : 'read';
  if (firstMatch(report, INSTRUCTION_ABORT) !== undefined) return 'execute';
  return RISCV_ACCESS[firstMatch(report, RISCV_CAUSE)?.[1] ?? ''] ?? 'unknown';
}

import type { Rule } from './rule.js';

const HARDWARE = { kind: 'hardware-error', from: 'none' } as const;
const CORRECTED = { ...HARDWARE, severity: 'warning', title: 'hardware error (corrected)' } as const;
const UNCORRECTED = { ...HARDWARE, severity: 'error', title: 'hardware error (uncorrected)' } as const;
const WORSE = [
  { pattern: /^Attempting to continue/, severity: 'error', title: 'hardware error (uncorrected)' },
  {
    pattern: /event severity: fatal|Machine Check Exception: /,
    severity: 'error',
    title: 'hardware error (fatal)',
  },
  {
    // MCi_STATUS: bit 63 is valid, 61 uncorrected, 58 and 57 address and context. AMD's decoder says it in words.
    pattern:
      /event severity: recoverable|Machine Check: \d{1,3} Bank \d{1,3}: [bf][0-9a-f]{15}|\[Hardware Error\]: Uncorrected/,
    severity: 'error',
    title: 'hardware error (uncorrected)',
  },
] as const;

/** arch/x86/kernel/cpu/mce, drivers/edac, drivers/acpi/apei, mm/memory-failure.c, arch/powerpc/kernel/mce.c */
export const HARDWARE_ERRORS: readonly Rule[] = [
  {
    ...CORRECTED,
    literals: ['Machine check events logged', 'Machine Check', '[Hardware Error]: '],
    pattern:
      /^(?:mce: )?(?:\[Hardware Error\]: )(?:Machine check events logged|CPU \d{1,5}: Machine Check|Corrected error|Deferred error|Uncorrected)/,
    variants: WORSE,
    repeats: true,
  },
  {
    ...CORRECTED,
    literals: ['Machine check events logged'],
    pattern: /^(?:mce: )?Machine check events logged/,
    variants: WORSE,
  },
  {
    // 2.4 and 2.6; each CPU prints it.
    ...UNCORRECTED,
    literals: ['Machine Check Exception'],
    pattern: /^(?:HARDWARE ERROR\.? ?)?CPU ?#?\d{1,5}: Machine Check Exception: {1,20}[0-9a-f]{1,16}\b/,
    variants: WORSE,
    repeats: true,
  },
  {
    ...CORRECTED,
    literals: ['hardware reports a non fatal'],
    pattern: /^MCE: The hardware reports a non fatal, correctable incident occurred on CPU \d/,
    repeats: true,
  },
  {
    ...CORRECTED,
    literals: ['[Hardware Error]: '],
    // Without a number it is a record of the boot before (BERT).
    pattern: /^\{\d{1,8}\}\[Hardware Error\]: (?:Hardware error from APEI|event severity: )/,
    variants: WORSE,
    repeats: true,
  },
  {
    ...UNCORRECTED,
    literals: ['EDAC '],
    pattern: /^EDAC (?:[\w-]{1,24}:? )?(?:MC|DEVICE)\d{1,3}: (?:\d{1,9} )?UE\b/,
    single: true,
  },
  {
    ...CORRECTED,
    literals: ['EDAC '],
    pattern: /^EDAC (?:[\w-]{1,24}:? )?(?:MC|DEVICE)\d{1,3}: (?:\d{1,9} )?CE\b/,
    single: true,
  },
  {
    ...UNCORRECTED,
    literals: ['Memory failure: 0x', 'Uncorrected hardware memory error'],
    pattern: /^(?:Memory failure: 0x[0-9a-f]{1,16}: |(?:mce: |MCE: )?Uncorrected hardware memory error)/,
    repeats: true,
  },
  {
    ...UNCORRECTED,
    literals: ['achine check'],
    pattern:
      /^(?:MCE: CPU\d{1,5}: machine check \(Severe\)|Severe Machine check interrupt|Machine check in kernel mode)/,
  },
  {
    ...UNCORRECTED,
    literals: ['severity=Uncorrected (Fatal)', 'severity=Uncorrectable (Fatal)'],
    pattern: /^\w{1,24} [\w:.]{1,24}: (?:AER: )?PCIe Bus Error: severity=Uncorrect(?:ed|able) \(Fatal\)/,
    title: 'hardware error (fatal)',
    single: true,
  },
];

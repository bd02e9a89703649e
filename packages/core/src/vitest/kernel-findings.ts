import type { Finding, Severity } from '../detect/finding.js';
import { scan } from '../detect/kernel-log/scan.js';
import { safeLine } from '../util/text/text-hygiene.js';
import type { Vm } from '../vm/vm.js';
import { VmEvidence } from './evidence.js';
import { lastLines } from './received.js';

/** Which findings `toHaveNoKernelFindings` counts. */
export interface KernelFindingsOptions {
  /** The lowest severity that counts; default `warning`. */
  readonly severity?: Severity | undefined;
  /** Findings whose title holds one of these do not count. */
  readonly ignore?: readonly (string | RegExp)[] | undefined;
}

const RANK: Readonly<Record<Severity, number>> = { info: 0, warning: 1, error: 2 };
const MAX_SHOWN = 5;
const EVIDENCE_LINES = 4;

/** For a VM that no fixture watches, the retained text of its console is read. */
export function kernelFindings(vm: Vm, options: KernelFindingsOptions = {}): Finding[] {
  const all = VmEvidence.of(vm)?.findings() ?? scan(vm.console.lines().join('\n'));
  return selectFindings(all, options);
}

export function selectFindings(
  findings: readonly Finding[],
  { severity = 'warning', ignore = [] }: KernelFindingsOptions,
): Finding[] {
  const isIgnored = ({ title }: Finding) =>
    ignore.some((pattern) =>
      typeof pattern === 'string'
        ? title.includes(pattern)
        : new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, '')).test(title),
    );
  return findings.filter(
    (finding) => finding.kind !== 'poweroff-stall' && RANK[finding.severity] >= RANK[severity] && !isIgnored(finding),
  );
}

export function describeFindings(vm: Vm, found: readonly Finding[]): string {
  const shown = found
    .slice(0, MAX_SHOWN)
    .flatMap(({ severity, title, evidence }) => [
      `  ${severity}: ${safeLine(title)}`,
      ...evidence.slice(0, EVIDENCE_LINES).map((line) => `    ${safeLine(line)}`),
    ]);
  const more = found.length > MAX_SHOWN ? [`  and ${found.length - MAX_SHOWN} more`] : [];
  return [
    `expected no reports of the kernel on the console, but there ${found.length === 1 ? 'is 1' : `are ${found.length}`}:`,
    ...shown,
    ...more,
    ...lastLines(vm),
  ].join('\n');
}

import { HANG_KINDS } from '../../detect/hang-kinds.js';
import type { KernelLogKind } from '../../detect/kernel-log/kernel-log-finding.js';
import type { Vm } from '../../vm/vm.js';
import { explainError } from '../explain-error.js';
import type { AttemptObserver } from './attempt-observer.js';
import type { AttemptOptions } from './attempt-options.js';

/** Further findings that a dump tells more of. */
const CRASHES: ReadonlySet<string> = new Set<KernelLogKind>([
  'kernel-panic',
  'oops',
  'bug',
  'null-deref',
  'page-fault',
  'general-protection-fault',
  'kasan',
]);
const NAME = 'memory.elf';

/**
 * Keeps the guest's memory of the first failure of a run. Returns the path in the run directory; undefined when there is no such failure, the
 * run has a dump already, or it cannot be written, which is an event of the attempt.
 * @throws {ABORTED} when `options.signal` fires
 */
export async function dumpFailure(
  vm: Vm,
  { findings }: AttemptObserver,
  { files, signal, claimDump }: AttemptOptions,
): Promise<string | undefined> {
  const worth = findings.some(
    ({ kind, severity }) => severity === 'error' && (HANG_KINDS.has(kind) || CRASHES.has(kind)),
  );
  if (!worth || !(await claimDump())) return undefined;
  const path = files.place(NAME);
  try {
    await vm.dump(path, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    files.event({ type: 'not-dumped', reason: explainError(error) });
    return undefined;
  }
  files.event({ type: 'dumped', name: NAME });
  return path.split('/').slice(-3).join('/');
}

import { HANG_KINDS } from '../../detect/hang-kinds.js';
import type { VmExplanation } from '../../vm/inspect/explain/explain.js';
import type { Vm } from '../../vm/vm.js';
import { explainError } from '../explain-error.js';
import type { AttemptObserver } from './attempt-observer.js';
import type { AttemptOptions } from './attempt-options.js';

/** Sentences of the record; explanation.txt has all. */
const MAX_SENTENCES = 20;
const LIMIT = '1m';

/**
 * Explains a hang that was found, and keeps the explanation with the attempt. Returns its sentences; undefined when there is no
 * hang, or the guest's memory cannot be read, which is an event of the attempt.
 * @throws {ABORTED} when `options.signal` fires
 * @throws {NO_SPACE}
 */
export async function explainHang(
  vm: Vm,
  { findings }: AttemptObserver,
  { files, signal }: AttemptOptions,
): Promise<readonly string[] | undefined> {
  if (!findings.some(({ kind, severity }) => severity === 'error' && HANG_KINDS.has(kind))) return undefined;
  let explanation: VmExplanation;
  try {
    explanation = await vm.explain({ signal, timeout: LIMIT });
  } catch (error) {
    signal?.throwIfAborted();
    files.event({ type: 'not-explained', reason: explainError(error) });
    return undefined;
  }
  const { sentences, notes, stuck, pausedMs } = explanation;
  if (stuck.length === 0) return undefined;
  files.write('explanation.json', `${JSON.stringify(explanation, null, 2)}\n`);
  files.write('explanation.txt', `${[...sentences, ...notes].join('\n')}\n`);
  files.event({ type: 'explained', stuck: stuck.length, pausedMs });
  return sentences.slice(0, MAX_SENTENCES);
}

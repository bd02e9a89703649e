import type { TaskRef } from '../../detect/finding.js';

/** One lock that tasks wait for, as a sentence of the explanation says it. */
export interface ExplainedWait {
  /** Of the tasks that wait for it, as far as the sentence names them. */
  readonly waiters: readonly number[];
  /** `mutex`, `rw-semaphore`. */
  readonly kind: string;
  readonly address: string;
  /** `struct io_ring_ctx.uring_lock`. */
  readonly name?: string;
  /** The task that holds the lock: `gone` when it no longer exists. Absent when nobody is certain to hold it. */
  readonly owner?: TaskRef | 'gone';
  /** The owner left the kernel's code with the lock held. */
  readonly left: boolean;
}

/** What introspect/explanation/sentences.ts writes about tasks that wait for the same lock. */
const WAIT = new RegExp(
  [
    String.raw`^(?<who>.{1,400}?\(\d{1,10}\)(?: and \d{1,9} more)?) (?:waits?|spins?(?: on CPU \d{1,6})?)`,
    String.raw` for (?:the|a) (?<kind>[\w -]{1,40}?) at (?<address>[0-9a-f]{1,16})(?: \((?<name>[^)]{1,200})\))?(?<rest>[,;].*)$`,
  ].join(''),
);
const OWNER = /; (?:(?<comm>[^;]{1,80}) \((?<pid>\d{1,10})\)|a task) holds it, and (?<state>.*)$/;
const LEFT = /left the kernel with the lock held|seems to have left it locked/;

/** Reads from an explanation's sentences which tasks wait for whom. Run directories have the sentences of each attempt. */
export function explainedWaits(sentences: readonly string[]): ExplainedWait[] {
  return sentences.flatMap((sentence) => {
    const { who, kind, address, name, rest = '' } = WAIT.exec(sentence)?.groups ?? {};
    if (who === undefined || kind === undefined || address === undefined) return [];
    const { comm, pid, state } = OWNER.exec(rest)?.groups ?? {};
    const owner = state === undefined ? undefined : comm === undefined ? ('gone' as const) : { comm, pid: Number(pid) };
    return [
      {
        waiters: [...who.matchAll(/\((\d{1,10})\)(?=, | and |$)/g)].map(([, number]) => Number(number)),
        kind,
        address,
        ...(name !== undefined && { name }),
        ...(owner !== undefined && { owner }),
        left: state !== undefined && LEFT.test(state),
      },
    ];
  });
}

/** Kinds of findings about tasks or CPUs that make no progress. Whom they wait for is in the guest's memory. */
export const HANG_KINDS: ReadonlySet<string> = new Set([
  'd-state',
  'hung-task',
  'task-cannot-die',
  'poweroff-stall',
  'silence',
  'soft-lockup',
  'hard-lockup',
  'rcu-stall',
  'workqueue-lockup',
  'spinlock',
]);

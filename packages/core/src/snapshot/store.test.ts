import { expect, test } from 'vitest';
import { SnapshotStore, type StoredSnapshot } from './store.js';
import type { InternalSnapshot } from './strategies/internal.js';

const TPM = 'this machine cannot be started a second time: its TPM is an emulator (swtpm)';

function internal(reason: string): StoredSnapshot {
  const saved: Partial<InternalSnapshot> = { strategy: 'internal', tag: 'qmpilot-one' };
  return {
    name: 'one',
    strategy: 'internal',
    reason,
    savedAt: '2026-11-24T06:00:00.000Z',
    pausedMs: 1,
    saved: saved as InternalSnapshot,
  };
}

test.each([
  [
    'a VM that cannot be forked says why, and proposes no other strategy',
    TPM,
    `the snapshot one is internal to one QEMU and cannot be forked: ${TPM}`,
    /^vm\.snapshotBlockers\(\{ strategy: 'file' \}\) lists what prevents forks of this VM/,
  ],
  [
    'where the user named the strategy, another one may do',
    'requested',
    'the snapshot one is internal to one QEMU and cannot be forked',
    /^make it without the strategy 'internal'/,
  ],
])('a fork of an internal snapshot is refused: %s', (_, reason, message, hint) => {
  const store = new SnapshotStore();
  store.add(internal(reason));
  expect(() => store.forkBase('one')).toThrow(
    expect.objectContaining({ code: 'SNAPSHOT', message, hint: expect.stringMatching(hint) }),
  );
});

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Candidate } from '../../detect/finding.js';
import { awaitDecisions } from './candidates.js';

const candidate = (id: string, since: number): Candidate => ({
  id,
  kind: 'd-state',
  title: id,
  since,
  dueAt: since + 10_000,
});

function sourceOf(first: readonly Candidate[]) {
  const begun = Date.now();
  const state = { present: first, ended: new Promise<void>(() => {}) };
  const source = {
    sampleNow: async () => {},
    candidates: () => state.present,
    now: () => Date.now() - begun,
    get ended() {
      return state.ended;
    },
  };
  return { state, source };
}

describe('the wait for candidates', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is over at once without any', async () => {
    expect(await awaitDecisions(sourceOf([]).source, {})).toEqual([]);
  });

  it('takes a thread that has run since for decided, and leaves out those that come later', async () => {
    const { state, source } = sourceOf([candidate('a', 0), candidate('b', 0)]);
    const over = vi.fn();
    void awaitDecisions(source, {}).then(over);
    await vi.advanceTimersByTimeAsync(0);
    state.present = [candidate('a', 0), candidate('b', 2000), candidate('c', 2000)];
    await vi.advanceTimersByTimeAsync(3000);
    expect(over).not.toHaveBeenCalled();
    state.present = [candidate('b', 2000), candidate('c', 2000)];
    await vi.advanceTimersByTimeAsync(200);
    expect(over).toHaveBeenCalledWith([]);
  });

  it('returns what is not decided long after it was due', async () => {
    const { source } = sourceOf([candidate('a', 0)]);
    const over = vi.fn();
    void awaitDecisions(source, {}).then(over);
    await vi.advanceTimersByTimeAsync(39_000);
    expect(over).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1100);
    expect(over).toHaveBeenCalledWith([candidate('a', 0)]);
  });

  it('names the candidates when it is cancelled', async () => {
    const { source } = sourceOf([candidate('a', 0)]);
    const cancel = new AbortController();
    const wait = awaitDecisions(source, { signal: cancel.signal });
    wait.catch(() => {});
    await vi.advanceTimersByTimeAsync(200);
    cancel.abort();
    await expect(wait).rejects.toMatchObject({ code: 'ABORTED', evidence: { candidates: ['a'] } });
    expect(vi.getTimerCount()).toBe(0);
  });
});

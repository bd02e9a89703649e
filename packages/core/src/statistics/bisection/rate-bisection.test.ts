import { describe, expect, it } from 'vitest';
import type { Count } from '../count.js';
import { generator } from '../random.fixture.js';
import type { HistoryCommit } from './history.js';
import { RateBisection, type RateBisectionOptions } from './rate-bisection.js';

const COSTS = { attempt: 1, prepare: () => 10 };

function line(size: number): HistoryCommit[] {
  return Array.from({ length: size }, (_, index) => ({
    id: `c${index}`,
    parents: index === 0 ? ['good'] : [`c${index - 1}`],
  }));
}

/** Runs a bisection to its confirmed end; gives the commits that it names. */
function solve(
  commits: readonly HistoryCommit[],
  attempt: (commit: string | undefined) => boolean,
  { broken = [], ...options }: RateBisectionOptions & { readonly broken?: readonly string[] } = {},
): string[] {
  const bisection = new RateBisection(commits, options);
  const observe = (commit: string | undefined, count: Count) =>
    commit === undefined ? bisection.observeGoodEnd(count) : bisection.observe(commit, count);
  const burst = (commit: string | undefined, most: number): Count => {
    for (let attempts = 1; attempts <= most; attempts += 1) if (attempt(commit)) return { failures: 1, attempts };
    return { failures: 0, attempts: most };
  };
  observe(commits.at(-1)?.id, burst(commits.at(-1)?.id, 64));
  observe(undefined, burst(undefined, 16));
  for (let steps = 0; steps < 2000; steps += 1) {
    const set = bisection.culprits();
    if (set !== undefined) {
      const confirmation = bisection.confirm(set[0]?.commit ?? '');
      for (let next = confirmation?.next(); next; next = confirmation?.next()) {
        const count = burst(next.commit, 1);
        confirmation?.observe(next.commit, count);
        observe(next.commit, count);
      }
      if (confirmation?.state === 'confirmed') return set.map(({ commit }) => commit);
      continue;
    }
    const step = bisection.next(COSTS);
    if (step === undefined) break;
    if (broken.includes(step.commit ?? '')) bisection.skip(step.commit);
    else observe(step.commit, burst(step.commit, step.attempts));
  }
  return [];
}

describe('RateBisection', () => {
  it('gives each commit the probability that Bayes gives it: a line with a sure failure and no background', () => {
    const bisection = new RateBisection(line(4), { rate: { rate: 1 }, background: { rate: 0 } });
    bisection.observe('c2', { failures: 1, attempts: 1 });
    expect(bisection.suspects.map(({ commit, probability }) => [commit, Number(probability.toFixed(12))])).toEqual([
      ['c0', 0.333333333333],
      ['c1', 0.333333333333],
      ['c2', 0.333333333333],
      ['c3', 0],
    ]);
    expect(bisection.entropy).toBeCloseTo(Math.log2(3), 12);
    bisection.observe('c0', { failures: 0, attempts: 1 });
    bisection.observe('c1', { failures: 0, attempts: 1 });
    expect(bisection.credibleSet()).toEqual([{ commit: 'c2', probability: 1 }]);
    expect(bisection.rates).toEqual({ before: 0, after: 1 });
  });

  it('weighs known rates by the likelihood of what was seen', () => {
    const bisection = new RateBisection(line(2), { rate: { rate: 0.5 }, background: { rate: 0.1 } });
    bisection.observe('c0', { failures: 1, attempts: 3 });
    // c0: 0.5 * 0.25; c1: 0.1 * 0.81, from equal priors.
    const first = 0.125 / (0.125 + 0.081);
    expect(bisection.suspects[0]).toEqual({ commit: 'c0', probability: expect.closeTo(first, 12) });
  });

  it('halves a line when failures are sure: each step tells one bit', () => {
    const bisection = new RateBisection(line(64), { rate: { rate: 1 }, background: { rate: 0 } });
    expect(bisection.next(COSTS)).toEqual({ commit: 'c31', attempts: 1, bits: expect.closeTo(1, 9), cost: 11 });
  });

  it('prefers a commit that is ready when a build is dear, and takes more attempts the rarer the failure', () => {
    const steps = [0.5, 0.01].map((rate) => {
      const bisection = new RateBisection(line(64), { rate: { rate }, background: { rate: 0 } });
      return bisection.next({ attempt: 1, prepare: (id) => (id === 'c20' ? 0 : 10_000) });
    });
    expect(steps.map((step) => step?.commit)).toEqual(['c20', 'c20']);
    expect(steps[1]?.attempts).toBeGreaterThanOrEqual(steps[0]?.attempts ?? 0);
    const bisection = new RateBisection(line(64), { rate: { rate: 0.01 }, background: { rate: 0 } });
    expect(bisection.next({ attempt: 1, prepare: () => 1000 })?.attempts).toBe(64);
    expect(bisection.next({ attempt: 1, prepare: () => 1000 }, { maxAttempts: 5 })?.attempts).toBe(4);
  });

  it.each([
    { rate: 1, background: 0 },
    { rate: 0.5, background: 0 },
    { rate: 0.2, background: 0.02 },
  ])('names the culprit of a failure with the rate $rate, and $background before it', ({ rate, background }) => {
    let right = 0;
    for (let seed = 1; seed <= 5; seed += 1) {
      const random = generator(seed);
      const culprit = Math.floor(random() * 64);
      const position = (id: string | undefined) => (id === undefined ? -1 : Number(id.slice(1)));
      const named = solve(line(64), (id) => random() < (position(id) >= culprit ? rate : background));
      if (named.join() === `c${culprit}`) right += 1;
    }
    expect(right).toBeGreaterThanOrEqual(5);
  });

  it('finds a culprit on a side branch', () => {
    const commits = [
      { id: 'a', parents: ['good'] },
      { id: 'side1', parents: ['a'] },
      { id: 'side2', parents: ['side1'] },
      { id: 'b', parents: ['a'] },
      { id: 'merge', parents: ['b', 'side2'] },
      { id: 'c', parents: ['merge'] },
    ];
    const bad = new Set(['side2', 'merge', 'c']);
    expect(solve(commits, (id) => bad.has(id ?? ''))).toEqual(['side2']);
  });

  it('finds the merge itself: both of its parents are confirmed to be good', () => {
    const commits = [
      { id: 'a', parents: ['good'] },
      { id: 'side', parents: ['good'] },
      { id: 'merge', parents: ['a', 'side'] },
      { id: 'b', parents: ['merge'] },
    ];
    const tried = new Set<string | undefined>();
    const named = solve(commits, (id) => {
      tried.add(id);
      return id === 'merge' || id === 'b';
    });
    expect(named).toEqual(['merge']);
    expect([...tried]).toEqual(expect.arrayContaining(['a', 'side']));
  });

  it('names the commits together that only a commit which does not build could tell apart', () => {
    const bad = new Set(['c5', 'c6', 'c7']);
    expect(solve(line(8), (id) => bad.has(id ?? ''), { broken: ['c4', 'c5'] }).sort()).toEqual(['c4', 'c5', 'c6']);
  });

  it('rules out the commits between two equal builds, and none besides', () => {
    const bisection = new RateBisection(line(8), { rate: { rate: 1 }, background: { rate: 0 } });
    bisection.sameBuild('c5', 'c2');
    bisection.sameBuild('c0', undefined);
    const open = bisection.suspects.filter(({ probability }) => probability > 0);
    expect(open.map(({ commit }) => commit).sort()).toEqual(['c1', 'c2', 'c6', 'c7']);
    bisection.observe('c4', { failures: 0, attempts: 1 });
    bisection.observe('c6', { failures: 1, attempts: 1 });
    expect(bisection.culprits()).toEqual([{ commit: 'c6', probability: 1 }]);
  });

  it('lets equal builds on two branches rule out what only one branch has', () => {
    const commits = [
      { id: 'base', parents: ['good'] },
      { id: 'left', parents: ['base'] },
      { id: 'right', parents: ['base'] },
      { id: 'merge', parents: ['left', 'right'] },
    ];
    const bisection = new RateBisection(commits);
    bisection.sameBuild('left', 'right');
    const open = bisection.suspects.filter(({ probability }) => probability > 0);
    expect(open.map(({ commit }) => commit).sort()).toEqual(['base', 'merge']);
  });

  it('drops a suspect that fresh attempts refute', () => {
    const bisection = new RateBisection(line(8));
    bisection.observe('c7', { failures: 9, attempts: 10 });
    bisection.observeGoodEnd({ failures: 0, attempts: 20 });
    bisection.observe('c4', { failures: 5, attempts: 5 });
    // By bad luck, c3 passed.
    bisection.observe('c3', { failures: 0, attempts: 3 });
    expect(bisection.suspects[0]?.commit).toBe('c4');
    const confirmation = bisection.confirm('c4');
    while (confirmation?.next()) {
      const { commit } = confirmation.next() ?? {};
      const count = { failures: 1, attempts: 1 };
      confirmation.observe(commit, count);
      if (commit !== undefined) bisection.observe(commit, count);
    }
    expect(confirmation?.state).toBe('refuted');
    expect(confirmation?.counts.find(({ commit }) => commit === 'c3')?.failures).toBeGreaterThan(0);
    bisection.observe('c3', { failures: 4, attempts: 4 });
    expect(bisection.suspects[0]?.commit).not.toBe('c4');
  });

  it('tries the good end when every commit that was tried fails: only it tells the rate before the culprit', () => {
    const random = generator(59);
    let attempts = 0;
    const found = solve(line(64), (commit) => {
      attempts += 1;
      return random() < (commit === undefined ? 0 : 0.5);
    });
    expect(found).toEqual(['c0']);
    expect(attempts).toBeLessThan(400);
  });

  it('says when no commit explains the attempts with the rates that were given', () => {
    const bisection = new RateBisection(line(4), { background: { rate: 0 } });
    bisection.observe('c3', { failures: 1, attempts: 2 });
    expect(bisection.isContradicted).toBe(false);
    bisection.observe(undefined, { failures: 1, attempts: 9 });
    expect(bisection.isContradicted).toBe(true);
  });

  it('has no step left when all commits are skipped', () => {
    const bisection = new RateBisection(line(2));
    bisection.skip('c0');
    bisection.skip('c1');
    expect(bisection.next(COSTS)).toBeUndefined();
    expect(bisection.confirm('c0')).toBeUndefined();
  });

  it('keeps all commits open when what was seen contradicts the rates that were given', () => {
    const bisection = new RateBisection(line(2), { background: { rate: 0 } });
    bisection.observeGoodEnd({ failures: 1, attempts: 1 });
    expect(bisection.suspects.map(({ probability }) => probability)).toEqual([0.5, 0.5]);
  });

  it.each([
    ['observe', (one: RateBisection) => one.observe('x', { failures: 0, attempts: 1 }), /commit x is not part of/],
    ['a build', (one: RateBisection) => one.sameBuild('c0', 'x'), /commit x is not part of/],
    [
      'a count',
      (one: RateBisection) => one.observe('c0', { failures: 2, attempts: 1 }),
      /invalid count: 2 failures in 1 attempts/,
    ],
    ['a ratio', (one: RateBisection) => one.confirm('c0', { ratio: 1 }), /invalid ratio: 1/],
    ['a certainty', (one: RateBisection) => one.culprits(1), /invalid certainty: 1/],
    ['maxAttempts', (one: RateBisection) => one.next(COSTS, { maxAttempts: 0 }), /invalid maxAttempts: 0/],
  ])('refuses %s that is not valid', (_, act, message) => {
    expect(() => act(new RateBisection(line(2)))).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) }),
    );
  });
});

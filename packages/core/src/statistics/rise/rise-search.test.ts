import { describe, expect, it } from 'vitest';
import { generator } from '../random.fixture.js';
import { RiseSearch, type RiseAttempt, type RiseSearchOptions } from './rise-search.js';

const NONE = { failures: 0, attempts: 0 };

interface Simulation extends Partial<RiseSearchOptions> {
  readonly seed: number;
  /** Attempts in parallel. */
  readonly forks?: number;
}

/** Searches a curve: `curve[i]` is the probability from point i, at second i + 1. */
function search(curve: readonly (number | undefined)[], { seed, forks = 1, ...options }: Simulation) {
  const random = generator(seed);
  const rise = new RiseSearch({
    times: curve.map((_, index) => index + 1),
    startTime: 0,
    start: NONE,
    endTime: curve.length + 1,
    ...options,
  });
  const fails = ({ point, ordinal }: RiseAttempt) => {
    const probability = curve[point];
    return probability === undefined ? undefined : generator(seed * 7919 + point * 1009 + ordinal)() < probability;
  };
  const running: RiseAttempt[] = [];
  while (rise.result === undefined) {
    const attempt = running.length < forks ? rise.next() : undefined;
    if (attempt) running.push(attempt);
    else if (running.length === 0) throw new Error('nothing to do, and no result');
    // Attempts end in any order.
    else
      for (const ended of running.splice(Math.floor(random() * running.length), 1)) rise.observe(ended, fails(ended));
  }
  return rise;
}

const step = (points: number, at: number, low: number, high: number) =>
  Array.from({ length: points }, (_, index) => (index < at ? low : high));

describe('RiseSearch', () => {
  it('finds a step among 32 points with a tenth of the attempts that all points would take', () => {
    const rise = search(step(32, 20, 0.08, 0.97), { seed: 1 });
    expect(rise.result).toMatchObject({ verdict: 'confirmed', rise: { from: 19, to: 20 }, limited: false });
    expect(rise.counts[19]?.attempts).toBeGreaterThanOrEqual(32);
    expect(rise.issued).toBeLessThan(32 * 32 * 0.15);
  });

  it('confirms the true step in nearly all of 300 searches, and hardly ever another place', () => {
    const found = Array.from({ length: 300 }, (_, seed) => search(step(16, 1 + (seed % 15), 0.1, 0.9), { seed }));
    const right = found.filter(
      ({ result }, seed) => result?.verdict === 'confirmed' && result.rise?.from === seed % 15,
    ).length;
    const wrong = found.filter(
      ({ result }, seed) => result?.verdict === 'confirmed' && result.rise?.from !== seed % 15,
    ).length;
    expect(right).toBeGreaterThan(285);
    expect(wrong).toBeLessThan(6);
  });

  it('finds the bigger of two steps: of two coins, the second', () => {
    const curve = [0.25, 0.25, 0.25, 0.5, 0.5, 0.5, 1, 1, 1];
    const found = Array.from({ length: 100 }, (_, seed) => search(curve, { seed }).result);
    const second = found.filter((result) => result?.verdict === 'confirmed' && result.rise?.from === 5).length;
    const neither = found.filter(
      (result) => result?.verdict === 'confirmed' && ![2, 5].includes(result.rise?.from ?? -1),
    ).length;
    expect(second).toBeGreaterThan(75);
    expect(neither).toBeLessThanOrEqual(5);
  });

  it('gives up a rise that further attempts show to be smaller than another one', () => {
    const found = Array.from({ length: 200 }, (_, seed) => search([0.7, 0.7, 1, 1], { seed, forks: 2 }).result);
    const right = found.filter((result) => result?.verdict === 'confirmed' && result.rise?.from === 1).length;
    const wrong = found.filter((result) => result?.verdict === 'confirmed' && result.rise?.from !== 1).length;
    const limited = found.filter((result) => result?.limited).length;
    expect(right).toBeGreaterThan(190);
    expect(wrong).toBeLessThan(6);
    expect(limited).toBeLessThan(4);
  });

  it('comes to a result on any curve, within its attempts', () => {
    for (let seed = 0; seed < 400; seed += 1) {
      const random = generator(seed + 5000);
      const point = () => (random() < 0.1 ? undefined : 0.8 + Math.round(random() * 8) / 40);
      const curve = Array.from(
        { length: 1 + Math.floor(random() * 7) },
        seed % 2 ? point : () => Math.round(random() * 8) / 8,
      );
      const found = search(curve, { seed, forks: 1 + (seed % 4), batch: 4 + (seed % 9), maxAttempts: 600 });
      expect(found.result).toBeDefined();
      expect(found.issued).toBeLessThanOrEqual(600);
    }
  });

  it('says when the rise comes after the last point, or before the first', () => {
    const late = search(step(8, 8, 0.1, 1), { seed: 3 });
    expect(late.result).toMatchObject({ verdict: 'confirmed', rise: { from: 7, to: 8 } });
    const early = search(step(8, 0, 0, 0.95), { seed: 3, start: { failures: 1, attempts: 20 } });
    expect(early.result).toMatchObject({ verdict: 'confirmed', rise: { from: -1, to: 0 } });
  });

  it('finds no rise where every point fails alike', () => {
    expect(search(step(8, 0, 0, 1), { seed: 3 }).result).toEqual({
      verdict: 'decided',
      rise: undefined,
      limited: false,
    });
    const wrong = Array.from({ length: 200 }, (_, seed) => {
      const { result } = search(step(8, 0, 0, 0.5), { seed, start: { failures: 5, attempts: 10 } });
      return result?.verdict === 'confirmed' && (result.rise?.to ?? 0) < 8 && (result.rise?.from ?? -1) >= 0;
    }).filter(Boolean).length;
    expect(wrong).toBeLessThanOrEqual(10);
  });

  it('does the same whatever the order in which parallel attempts end', () => {
    for (let seed = 0; seed < 30; seed += 1) {
      const curve = step(12, 1 + (seed % 11), 0.2, 0.9);
      const one = search(curve, { seed });
      const many = search(curve, { seed, forks: 7 });
      expect([many.result?.verdict, many.result?.rise?.from]).toEqual([one.result?.verdict, one.result?.rise?.from]);
    }
  });

  it('ends at its limit of attempts, also when none has a verdict', () => {
    const few = search(step(16, 8, 0.1, 0.9), { seed: 5, maxAttempts: 30 });
    expect(few.result).toMatchObject({ verdict: 'unconfirmed', limited: true });
    expect(few.issued).toBe(30);
    const blind = search([undefined, undefined], { seed: 5, maxAttempts: 40 });
    expect(blind.result).toMatchObject({ verdict: 'unconfirmed', limited: true });
    expect(blind.counts).toEqual([NONE, NONE]);
  });

  it('refuses options and outcomes that make no sense', () => {
    const good = { times: [1, 2], startTime: 0, endTime: 3, start: NONE };
    for (const bad of [{ times: [] }, { times: [2, 1] }, { endTime: 1 }, { batch: 0 }, { maxAttempts: 1.5 }])
      expect(() => new RiseSearch({ ...good, ...bad })).toThrow(/invalid/);
    expect(() => new RiseSearch({ ...good, confidence: 2 })).toThrow(/confidence/);
    const rise = new RiseSearch(good);
    expect(() => rise.observe({ point: 0, ordinal: 0 }, true)).toThrow('not under way');
    const attempt = rise.next() ?? { point: 9, ordinal: 9 };
    rise.observe(attempt, true);
    expect(() => rise.observe(attempt, true)).toThrow('not under way');
  });
});

import { expect, it } from 'vitest';
import { point } from '../../report/when/when.fixture.js';
import type { WhenPoint } from '../../run-files/when-file.js';
import { notesOn } from './notes.js';
import type { WhenFork } from './when-journal.js';

const fork = (more: Partial<WhenFork>): WhenFork => ({
  v: 1,
  type: 'fork',
  checkpoint: 1,
  ordinal: 0,
  outcome: 'clean',
  ms: 1,
  seed: 1,
  ...more,
});
const notes = (start: WhenPoint, first: WhenPoint, more: Partial<Parameters<typeof notesOn>[0]> = {}) =>
  notesOn({
    points: [start, first, point('failure', 9000, 0, 0)],
    failure: { title: 'a hang', signature: 'hang', at: 9000 },
    forks: [],
    limited: false,
    verdict: 'confirmed',
    judged: true,
    ...more,
  });

it('says when forks of the first checkpoint fail more often than attempts of the run, beyond chance', () => {
  const differs = notes(point('start', 0, 4, 40), point('checkpoint', 2000, 20, 20));
  expect(differs[0]).toBe(
    'From the first checkpoint (2 s) 100 % of the forks fail, and 10 % of the attempts of the run: something before 2 s decides, or the guest behaves differently after a restore.',
  );
  expect(notes(point('start', 0, 10, 40), point('checkpoint', 2000, 6, 20))).toHaveLength(1);
  expect(notes(point('start', 0, 1, 3), point('checkpoint', 2000, 20, 20))[0]).toMatch(/^The run has 3 attempts/);
});

it('counts forks that failed in another way, and those without a verdict by their reason', () => {
  const all = notes(point('start', 0, 10, 40), point('checkpoint', 2000, 6, 20), {
    forks: [
      fork({ outcome: 'reproduced', signature: 'hang', title: 'a hang' }),
      fork({ outcome: 'reproduced', signature: 'panic', title: 'a panic\u001b[2J' }),
      fork({ outcome: 'reproduced', signature: 'panic', title: 'a panic\u001b[2J' }),
      fork({ outcome: 'inconclusive', reason: 'QEMU_EXITED: killed' }),
    ],
  }).join('\n');
  expect(all).toMatch(/^2 of the forks that failed did so in another way: a panic.*\.$/m);
  expect(all).not.toContain('\u001b');
  expect(all).toContain('1 of the forks came to no verdict: QEMU_EXITED: killed.');
});

it('names the limit of forks, a rise that was not shown, and detectors as judges', () => {
  const given = [point('start', 0, 10, 40), point('checkpoint', 2000, 6, 20)] as const;
  expect(notes(...given, { limited: true, verdict: 'unconfirmed' })[0]).toMatch(/limit of 0 forks was reached/);
  expect(notes(...given, { verdict: 'unconfirmed' })[0]).toMatch(/made after the rise was found do not show it/);
  expect(notes(...given, { judged: false }).join(' ')).toMatch(/no fromCheckpoint: .* three times the time/);
});

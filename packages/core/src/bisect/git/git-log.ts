import { readFile } from 'node:fs/promises';
import { QmpilotError } from '../../errors.js';
import { hostError } from '../../util/files/host-error.js';
import type { BisectResult } from '../result.js';
import type { Range } from './range.js';

/** Marks of a `git bisect log`. */
export interface GitBisectMarks {
  /** Undefined when the log has none. */
  readonly bad: string | undefined;
  /** In the order of the log: the last one is the nearest to the answer. */
  readonly good: readonly string[];
  readonly skip: readonly string[];
}

/** Returns the marks of the file that `git bisect log` printed. @throws {USAGE} when it holds something else, {IO} */
export async function readGitBisectLog(file: string): Promise<GitBisectMarks> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw hostError(`cannot read ${file}`, cause);
  });
  const marks = { bad: undefined as string | undefined, good: [] as string[], skip: [] as string[] };
  // git names the commits of the revisions that start was given in comments before it: `# bad: [0123...] subject`.
  let commented: string[] = [];
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    const [, commit] = /^# (?:bad|new|good|old): \[([0-9a-f]{40,64})\]/.exec(line) ?? [];
    if (commit !== undefined) commented.push(commit);
    if (line === '' || line.startsWith('#')) continue;
    const [git, bisect, verb = '', ...rest] = line.split(/\s+/).map((word) => word.replaceAll("'", ''));
    const isKnown =
      git === 'git' && bisect === 'bisect' && ['start', 'bad', 'new', 'good', 'old', 'skip'].includes(verb);
    const revisions = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest;
    if (!isKnown || revisions.some((revision) => revision.startsWith('-')))
      throw new QmpilotError(
        'USAGE',
        `${file}:${index + 1} is not a line of git bisect log that can be used: ${line.slice(0, 80)}`,
        {
          hint: 'write it with: git bisect log > FILE; terms other than good, bad, old and new are not supported',
        },
      );
    // After start, the first revision is bad and the others are good.
    if (verb === 'start') {
      const named = commented.length === revisions.length ? commented : revisions;
      marks.bad = named[0] ?? marks.bad;
      marks.good.push(...named.slice(1));
    } else if (verb === 'bad' || verb === 'new') marks.bad = revisions[0] ?? marks.bad;
    else if (verb === 'skip') marks.skip.push(...revisions);
    else marks.good.push(...revisions);
    commented = [];
  }
  return marks;
}

/**
 * Returns a log for `git bisect replay`. It marks only what tests have shown, since git takes a mark for a fact: the ends, when they
 * differ, the culprit and its parents, when fresh attempts confirmed them, and commits that cannot be tried.
 */
export function renderGitBisectLog({ state, reason, confirmation, skipped }: BisectResult, range: Range): string {
  const differ = state !== 'indistinct' && state !== 'reversed';
  const [culprit, ...parents] = state === 'confirmed' ? confirmation : [];
  const good = [...new Set([range.good, ...range.alsoGood, ...parents.map(({ commit }) => commit)])];
  const bad = [...new Set([range.bad, ...(culprit ? [culprit.commit] : [])])];
  const ends = new Set([...good, ...bad]);
  return [
    `# qmpilot bisect: ${state}, ${reason.replaceAll('\n', ' ')}`,
    'git bisect start',
    ...(differ
      ? [...bad.map((commit) => `git bisect bad ${commit}`), ...good.map((commit) => `git bisect good ${commit}`)]
      : []),
    ...skipped.filter(({ commit }) => !ends.has(commit)).map(({ commit }) => `git bisect skip ${commit}`),
    '',
  ].join('\n');
}

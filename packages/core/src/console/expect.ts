import type { WaitOptions } from '../util/async/deadline.js';
import type { TextWindow } from './text-window.js';

export interface ExpectOptions extends WaitOptions {
  /** Position to search from; default: behind the last match. */
  readonly from?: number | undefined;
  /** `false` leaves the position where the next `expect` begins as it is. Default true. */
  readonly consume?: boolean | undefined;
}

/** What `expect` found. */
export interface ExpectMatch {
  readonly text: string;
  readonly groups: readonly (string | undefined)[];
  /** Where the match begins and ends, in characters of text since the console began. */
  readonly position: number;
  readonly end: number;
  /** Text between where the search began and the match, as far as it is still kept. */
  readonly before: string;
}

/** How far back a match of a regular expression may begin before the text that came last, in characters. */
const MATCH_REACH = 65_536;

/** Returns a function that searches what was added to the text since its last call. */
export function expectFinder(text: TextWindow, pattern: string | RegExp, from: number): () => ExpectMatch | undefined {
  let searched = from;
  const expression =
    typeof pattern === 'string' ? undefined : new RegExp(pattern.source, `${pattern.flags.replace(/[gy]/g, '')}g`);
  const result = (match: string, position: number, groups: readonly (string | undefined)[]): ExpectMatch => ({
    text: match,
    groups,
    position,
    end: position + match.length,
    before: text.slice(from, position),
  });
  return () => {
    const reach = typeof pattern === 'string' ? pattern.length - 1 : MATCH_REACH;
    const start = Math.max(from, searched - reach);
    searched = text.end;
    if (typeof pattern === 'string') {
      const position = text.find(pattern, start);
      return position === undefined ? undefined : result(pattern, position, []);
    }
    const found = expression && text.match(expression, start);
    return found && result(found.match[0], found.position, found.match.slice(1));
  };
}

import type { ErrorDetails } from '../../errors.js';
import { awaitWithin, type WaitOptions } from '../../util/async/deadline.js';
import { parseDuration } from '../../util/time/duration.js';
import type { Pane, PaneSelector, ScreenMatch, ScreenPart, ScreenWaitOptions, SettleOptions } from './screen-part.js';
import type { TerminalView } from './terminal-view.js';

/** What a wait needs of a `Screen`. */
interface WatchedScreen extends TerminalView {
  readonly program: TerminalView;
  panes(): Pane[];
  pane(selector: PaneSelector): Pane | undefined;
  whenIdle(call: () => void): void;
  onChange(listener: () => void): () => void;
  onEnd(listener: (error: Error) => void): () => void;
}

export function waitForText(
  screen: WatchedScreen,
  pattern: string | RegExp,
  options: ScreenWaitOptions,
): Promise<ScreenMatch> {
  const find = finder(pattern);
  const awaited = `${pattern instanceof RegExp ? pattern : JSON.stringify(pattern)} ${where(options)}`;
  return waitUntil(screen, awaited, () => firstMatch(views(screen, options), find), options);
}

/** Returns what `waitFor` would return at once; undefined when it would wait. */
export function findOnScreen(
  screen: WatchedScreen,
  pattern: string | RegExp,
  part: ScreenPart = {},
): ScreenMatch | undefined {
  return firstMatch(views(screen, part), finder(pattern));
}

export function waitUntil<S extends WatchedScreen, T>(
  screen: S,
  awaited: string,
  probe: (screen: S) => T | undefined,
  options: WaitOptions & ScreenPart,
): Promise<T> {
  const details = () => lastSeen(screen, options);
  return awaitWithin<T>({ awaited, defaultTimeout: 30_000, details }, options, (resolve, reject) => {
    const look = () => {
      try {
        const value = probe(screen);
        if (value !== undefined) resolve(value);
      } catch (error) {
        reject(error);
      }
    };
    return follow(screen, look, reject);
  });
}

export function settle(screen: WatchedScreen, options: SettleOptions): Promise<string[]> {
  const quietMs = parseDuration(options.quiet ?? 500, 'quiet');
  const awaited = `${what(options)} to be unchanged for ${quietMs} ms`;
  const details = () => lastSeen(screen, options);
  return awaitWithin<string[]>({ awaited, defaultTimeout: 30_000, details }, options, (resolve, reject) => {
    let shown: string | undefined;
    let timer: NodeJS.Timeout | undefined;
    const look = () => {
      const rows = views(screen, options).at(-1);
      const text = rows?.join('\n');
      if (text === shown && timer) return;
      clearTimeout(timer);
      shown = text;
      timer = rows && setTimeout(() => resolve(rows), quietMs);
    };
    const leave = follow(screen, look, reject);
    return () => {
      clearTimeout(timer);
      leave();
    };
  });
}

/** Calls `look` when all output is drawn and after each change, until the returned function is called. */
function follow(screen: WatchedScreen, look: () => void, end: (error: Error) => void): () => void {
  let isOver = false;
  const forget = [screen.onChange(look), screen.onEnd(end)];
  screen.whenIdle(() => {
    if (!isOver) look();
  });
  return () => {
    isOver = true;
    forget.forEach((undo) => undo());
  };
}

/** Texts to search, in this order; none when there is no such pane. */
function views(screen: WatchedScreen, { row, region, pane }: ScreenPart): string[][] {
  const cut = (rows: readonly string[]) => (row === undefined ? [...rows] : [rows.at(row) ?? '']);
  if (pane !== undefined) {
    const found = screen.pane(pane);
    return found ? [cut(found.rows)] : [];
  }
  if (region) return [cut(screen.program.region(region))];
  // A search of the whole screen includes what the kernel wrote across it.
  return row === undefined && screen.program !== screen
    ? [screen.rows(), screen.program.rows()]
    : [cut(screen.program.rows())];
}

function firstMatch(
  candidates: readonly string[][],
  find: (text: string) => ScreenMatch | undefined,
): ScreenMatch | undefined {
  for (const rows of candidates) {
    const match = find(rows.join('\n'));
    if (match) return match;
  }
  return undefined;
}

function finder(pattern: string | RegExp): (text: string) => ScreenMatch | undefined {
  const match = (text: string, index: number, found: string, groups: readonly (string | undefined)[]): ScreenMatch => ({
    text: found,
    groups,
    row: text.slice(0, index).split('\n').length - 1,
  });
  if (typeof pattern === 'string') {
    return (text) => (text.includes(pattern) ? match(text, text.indexOf(pattern), pattern, []) : undefined);
  }
  const expression = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ''));
  return (text) => {
    const found = expression.exec(text);
    return found ? match(text, found.index, found[0], found.slice(1)) : undefined;
  };
}

function what({ row, region, pane }: ScreenPart): string {
  const part = region
    ? `the region at row ${region.row}, column ${region.column}`
    : pane !== undefined
      ? `pane ${paneName(pane)}`
      : 'the screen';
  return row === undefined ? part : `row ${row} of ${part}`;
}

function where(part: ScreenPart): string {
  const name = what(part);
  return `${name === 'the screen' ? 'on' : 'in'} ${name}`;
}

function paneName(pane: PaneSelector): string {
  return typeof pane === 'object' ? `with the title ${JSON.stringify(pane.title)}` : String(pane);
}

function lastSeen(screen: WatchedScreen, part: ScreenPart): ErrorDetails {
  const evidence = { console: screen.rows() };
  if (part.pane === undefined) return { evidence, hint: 'what the screen showed last is in evidence.console' };
  const panes = screen.panes();
  const found = screen.pane(part.pane);
  return found
    ? {
        evidence: { ...evidence, pane: found.rows },
        hint: 'what the pane showed last is in evidence.pane, and the whole screen in evidence.console',
      }
    : {
        evidence,
        hint: `there is no pane ${paneName(part.pane)}: the screen shows ${panes.length}, ${panes.map(({ index, title }) => `${index}${title && ` ${JSON.stringify(title)}`}`).join(', ')}`,
      };
}

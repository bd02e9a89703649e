import { safeText } from '../../util/text/text-hygiene.js';
import type { PageData, PageRun } from '../html/page-data.js';
import { clock } from './axis.js';
import { lanesOf, type Item } from './chronology.js';
import { consoleLines } from './console-lines.js';
import { element, on } from './elements.js';
import { inflate, unpack, type Evidence } from './evidence.js';
import { buildReplay, guessSize } from './frames.js';
import { LinesView } from './lines-view.js';
import { Player } from './player.js';
import { ScreenView } from './screen-view.js';
import { Timeline } from './timeline.js';
import { parseTiming } from './timing.js';

const NEAR_MS = 15_000;
const OUTCOME: Readonly<Record<string, string>> = { r: 'failed', c: 'clean', i: 'inconclusive' };

/** Shows one attempt: its timeline, its screen over time, its console lines and its other evidence. */
export class Viewer {
  readonly #section: HTMLElement;
  readonly #data: PageData;
  readonly #onChosen: (run: number, position: number) => void;
  #open = new AbortController();

  constructor(section: HTMLElement, data: PageData, onChosen: (run: number, position: number) => void) {
    this.#section = section;
    this.#data = data;
    this.#onChosen = onChosen;
  }

  /** Shows the attempt at that place of the run, at the moment `at`; by default when it failed. */
  async show(run: number, position: number, at?: number): Promise<void> {
    const of = this.#data.runs[run];
    const index = of?.index[position];
    if (of === undefined || index === undefined) return;
    this.#open.abort();
    const open = new AbortController();
    this.#open = open;
    this.#onChosen(run, position);
    this.#section.hidden = false;
    const heading = this.#heading(of, run, position, open.signal);
    const packed = of.evidence[index];
    const summary = this.#summary(of, position);
    if (packed === undefined) {
      this.#section.replaceChildren(
        heading,
        summary,
        element(
          'p',
          { class: 'note' },
          'This attempt is not in this file; its console and events are in ',
          element('a', { href: of.folders[position] ?? '' }, of.folders[position] ?? 'its folder'),
          '../../../report-client',
        ),
      );
      return;
    }
    const body = element('div', { 'class': 'body', 'aria-busy': 'true' });
    this.#section.replaceChildren(heading, summary, body);
    const [evidence, prologue] = await Promise.all([
      unpack(packed),
      of.prologue === '' ? undefined : inflate(of.prologue),
    ]);
    if (open.signal.aborted) return;
    const endMs = Math.max(1, of.ms[position] ?? 0, lastTime(evidence));
    await fill(
      body,
      evidence,
      prologue,
      endMs,
      open.signal,
      at ?? of.failedAt[position] ?? endMs,
      of.folders[position] ?? '',
    );
  }

  #heading(of: PageRun, run: number, position: number, signal: AbortSignal): HTMLElement {
    const step = (by: number, label: string, text: string) => {
      const made = element(
        'button',
        { 'type': 'button', 'title': label, 'aria-label': label, 'disabled': of.index[position + by] === undefined },
        text,
      );
      on(made, 'click', signal, () => void this.show(run, position + by));
      return made;
    };
    const several = this.#data.runs.length > 1 ? ` of ${of.label}` : '';
    return element(
      'h2',
      {},
      `Attempt ${of.index[position]}${several}`,
      element('span', { class: 'steps' }, step(-1, 'The attempt before', '←'), step(1, 'The next attempt', '→')),
    );
  }

  #summary(of: PageRun, position: number): HTMLElement {
    const letter = of.outcome[position] ?? 'i';
    const [failedAt, index] = [of.failedAt[position], of.index[position] ?? 0];
    const when =
      failedAt === null || failedAt === undefined
        ? `after ${clock(of.ms[position] ?? 0)}`
        : `after ${clock(failedAt)}, ended at ${clock(of.ms[position] ?? 0)}`;
    const titles = (of.seen[position] ?? []).map((id) => of.titles[id] ?? '').slice(0, 8);
    const reason = of.reasons[index];
    return element(
      'p',
      { class: 'verdict' },
      element('i', { class: letter }),
      element('b', {}, OUTCOME[letter] ?? ''),
      ` ${when}, restored in ${of.restoreMs[position] ?? 0} ms`,
      reason === undefined ? undefined : `: ${reason}`,
      titles.length > 0
        ? element('span', { class: 'titles' }, ...titles.map((title) => element('span', {}, title)))
        : undefined,
    );
  }
}

function lastTime({ events }: Evidence): number {
  return events.reduce(
    (most, { at }) => (typeof at === 'number' && Number.isFinite(at) ? Math.max(most, at) : most),
    0,
  );
}

async function fill(
  body: HTMLElement,
  evidence: Evidence,
  prologue: Uint8Array | undefined,
  endMs: number,
  signal: AbortSignal,
  at: number,
  folder: string,
): Promise<void> {
  const timing = parseTiming(evidence.timing, evidence.console.length, endMs);
  const begin = evidence.events.find(({ type }) => type === 'begin');
  const guessed = guessSize(evidence.console);
  const size = (name: 'columns' | 'rows') =>
    typeof begin?.[name] === 'number' && begin[name] >= 2 && begin[name] <= 500
      ? Math.floor(begin[name])
      : guessed[name];
  const replay = await buildReplay(evidence.console, timing, {
    columns: size('columns'),
    rows: size('rows'),
    prologue: evidence.consoleDropped > 0 ? undefined : prologue,
    start: evidence.screenStart,
    durationMs: endMs,
  });
  if (signal.aborted) return;
  const screen = new ScreenView(replay);
  const caption = element('p', { class: 'caption', role: 'status' });
  const show = (ms: number, holding?: readonly string[]) => {
    timeline.showAt(ms);
    player.showAt(ms);
    screen.showAt(ms);
    lines.showAt(ms, holding);
  };
  const pick = (ms: number, item?: Item) => {
    player.stop();
    show(ms, item?.lines);
    caption.textContent = item ? `${clock(item.from, 1000)}  ${item.label}` : '';
  };
  const player = new Player(endMs, signal, (ms) => show(ms));
  const lines = new LinesView(
    consoleLines(evidence.console, timing),
    timing.guessed ? Infinity : NEAR_MS,
    signal,
    (ms) => pick(ms),
  );
  const timeline = new Timeline({
    lanes: lanesOf(evidence.events, endMs),
    timing,
    bytes: evidence.console.length,
    endMs,
    signal,
    onPick: pick,
  });
  const notes = [
    timing.guessed ? 'The times of the console’s bytes were not recorded: they are spread evenly here.' : undefined,
    evidence.consoleDropped > 0
      ? `${evidence.consoleDropped} further bytes of the console are not in this file: see ${folder}.`
      : undefined,
  ].filter((note) => note !== undefined);
  body.replaceChildren(
    timeline.element,
    caption,
    player.element,
    element('div', { class: 'panes' }, element('div', { class: 'terminal' }, screen.element), lines.element),
    ...notes.map((note) => element('p', { class: 'note' }, note)),
    ...evidence.files.map(file),
  );
  body.removeAttribute('aria-busy');
  show(Math.min(at, endMs));
}

function file({ name, text }: Evidence['files'][number]): HTMLElement {
  return element('details', { class: 'file' }, element('summary', {}, name), element('pre', {}, safeText(text)));
}

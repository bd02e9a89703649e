import { timeTicks } from '../html/time-ticks.js';
import { clock, panned, zoomed, type View } from './axis.js';
import type { Item, Lane } from './chronology.js';
import { element, on, svg } from './elements.js';
import type { Timing } from './timing.js';

export interface TimelineOptions {
  readonly lanes: readonly Lane[];
  readonly timing: Timing;
  readonly bytes: number;
  readonly endMs: number;
  readonly signal: AbortSignal;
  /** Called when the user selects a moment, and perhaps an item. */
  readonly onPick: (at: number, item: Item | undefined) => void;
}

const LANE = 26;
const DENSITY = 40;
const AXIS = 24;
const NARROW = 620;
const GUTTER = 84;
/** The largest distance of a click from its target, in px. */
const REACH = 9;

/** Lanes over one time axis. Drag and wheel move and zoom it. */
export class Timeline {
  readonly element = element('div', { class: 'timeline' });
  readonly #options: TimelineOptions;
  readonly #drawing = svg('svg', {
    'class': 'lanes',
    'tabindex': 0,
    'role': 'img',
    'aria-label': 'Timeline of the attempt; plus and minus zoom, arrows move',
  });
  readonly #playhead = svg('line', { class: 'playhead' });
  readonly #pointers = new Map<number, number>();
  #view: View;
  #playAt = 0;
  #moved = 0;

  constructor(options: TimelineOptions) {
    this.#options = options;
    this.#view = { from: 0, to: options.endMs };
    const button = (label: string, title: string, act: () => void) => {
      const made = element('button', { 'type': 'button', title, 'aria-label': title }, label);
      on(made, 'click', options.signal, act);
      return made;
    };
    const middle = () =>
      this.#playAt >= this.#view.from && this.#playAt <= this.#view.to
        ? this.#playAt
        : (this.#view.from + this.#view.to) / 2;
    this.element.append(
      element(
        'div',
        { class: 'zoom' },
        button('−', 'Zoom out', () => this.#zoom(2, middle())),
        button('+', 'Zoom in', () => this.#zoom(0.5, middle())),
        button('All', 'Show the whole attempt', () => this.#show({ from: 0, to: options.endMs })),
      ),
      this.#drawing,
    );
    this.#listen();
    const observer = new ResizeObserver(() => this.#draw());
    observer.observe(this.element);
    options.signal.addEventListener('abort', () => observer.disconnect());
  }

  /** Moves the mark of the moment that is shown. */
  showAt(ms: number): void {
    this.#playAt = ms;
    const { from, to } = this.#view;
    if ((ms < from || ms > to) && to - from < this.#options.endMs)
      this.#show(panned(this.#view, ms - (from + to) / 2, this.#options.endMs));
    this.#placePlayhead();
  }

  get #width(): number {
    return Math.max(200, this.element.clientWidth);
  }

  get #gutter(): number {
    return this.#width < NARROW ? 0 : GUTTER;
  }

  #x(ms: number): number {
    const { from, to } = this.#view;
    return this.#gutter + ((ms - from) / Math.max(1, to - from)) * (this.#width - this.#gutter);
  }

  #ms(x: number): number {
    const { from, to } = this.#view;
    return Math.min(
      this.#options.endMs,
      Math.max(0, from + ((x - this.#gutter) / (this.#width - this.#gutter)) * (to - from)),
    );
  }

  #show(view: View): void {
    this.#view = view;
    this.#draw();
  }

  #zoom(factor: number, around: number): void {
    this.#show(zoomed(this.#view, factor, around, this.#options.endMs));
  }

  #draw(): void {
    const width = this.#width;
    const narrow = this.#gutter === 0;
    const lane = narrow ? LANE + 14 : LANE;
    const height = DENSITY + this.#options.lanes.length * lane + AXIS + (narrow ? 14 : 0);
    const plot = svg('g');
    const top = narrow ? 14 : 0;
    const parts: SVGElement[] = [];
    for (const time of timeTicks(
      this.#view.from,
      this.#view.to,
      Math.max(2, Math.floor((width - this.#gutter) / 90)),
    )) {
      const x = this.#x(time);
      parts.push(svg('line', { class: 'grid', x1: x, x2: x, y1: 0, y2: height - AXIS + 4 }));
      parts.push(
        svg(
          'text',
          {
            'class': 'tick',
            'x': Math.min(x, width - 2),
            'y': height - 6,
            'text-anchor': x > width - 30 ? 'end' : x < this.#gutter + 14 ? 'start' : 'middle',
          },
          clock(time, this.#view.to - this.#view.from),
        ),
      );
    }
    const name = (text: string, y: number) =>
      svg('text', narrow ? { class: 'name', x: 0, y: y - 3 } : { class: 'name', x: 0, y: y + 17 }, text);
    parts.push(svg('path', { class: 'density', d: this.#density(top) }), name('Console', narrow ? top : 12));
    for (const [index, { name: label, items }] of this.#options.lanes.entries()) {
      const y = top + DENSITY + index * lane + (narrow ? 14 : 0);
      parts.push(
        svg('line', { class: 'rule', x1: this.#gutter, x2: width, y1: y + LANE - 0.5, y2: y + LANE - 0.5 }),
        name(label, y),
      );
      plot.append(...this.#marks(items, y, label));
    }
    this.#drawing.setAttribute('height', String(height));
    this.#drawing.setAttribute('width', String(width));
    this.#playhead.setAttribute('y2', String(height - AXIS + 4));
    this.#drawing.replaceChildren(...parts, plot, this.#playhead);
    this.#placePlayhead();
  }

  #marks(items: readonly Item[], y: number, lane: string): SVGElement[] {
    const marks: SVGElement[] = [];
    const taken = new Set<string>();
    for (const item of items) {
      if (item.to < this.#view.from || item.from > this.#view.to) continue;
      const [from, to] = [Math.max(this.#gutter, this.#x(item.from)), Math.min(this.#width, this.#x(item.to))];
      const key = `${Math.round(from)} ${Math.round(to)} ${item.tone}`;
      // What would lie on one another to the pixel is drawn once.
      if (taken.has(key)) continue;
      taken.add(key);
      const title = svg('title', {}, `${clock(item.from, 1000)}: ${item.label}`);
      if (lane === 'Findings')
        marks.push(
          svg(
            'circle',
            { class: `mark ${item.tone}`, cx: Math.min(this.#width - 5, Math.max(5, to)), cy: y + LANE / 2, r: 5 },
            title,
          ),
        );
      else
        marks.push(
          svg(
            'rect',
            {
              class: `mark ${item.tone} ${lane.toLowerCase()}`,
              x: Math.min(from, this.#width - 3),
              y: y + 6,
              width: Math.max(3, to - from),
              height: LANE - 13,
              rx: 1.5,
            },
            title,
          ),
        );
      if (lane === 'Shutdown' && to - from > 70)
        marks.push(
          svg('text', { class: 'inside', x: from + 6, y: y + LANE - 10 }, item.label.replace('poweroff: ', '')),
        );
    }
    return marks;
  }

  /** Bytes for each few pixels, on a logarithmic scale: a quiet console is as plain to see as a busy one. */
  #density(top: number): string {
    const { timing } = this.#options;
    const step = 3;
    const buckets = new Map<number, number>();
    for (const [index, at] of timing.at.entries()) {
      if (at < this.#view.from || at > this.#view.to) continue;
      const bucket = Math.floor((this.#x(at) - this.#gutter) / step);
      const size = (timing.offset[index + 1] ?? this.#options.bytes) - (timing.offset[index] ?? 0);
      buckets.set(bucket, (buckets.get(bucket) ?? 0) + size);
    }
    const most = Math.log1p(Math.max(1, ...buckets.values()));
    const base = top + DENSITY - 8;
    return [...buckets]
      .map(
        ([bucket, size]) =>
          `M${this.#gutter + bucket * step} ${base}v${-Math.max(2, (Math.log1p(size) / most) * (DENSITY - 12))}h${step - 1}V${base}z`,
      )
      .join('');
  }

  #placePlayhead(): void {
    const x = this.#x(this.#playAt);
    for (const name of ['x1', 'x2']) this.#playhead.setAttribute(name, String(x));
    this.#playhead.setAttribute('visibility', x >= this.#gutter - 1 && x <= this.#width + 1 ? 'visible' : 'hidden');
  }

  #pick(x: number, y: number): void {
    const top = DENSITY + (this.#gutter === 0 ? 28 : 0);
    const lane = this.#options.lanes[Math.floor((y - top) / (this.#gutter === 0 ? LANE + 14 : LANE))];
    const distance = ({ from, to }: Item) => Math.max(this.#x(from) - x, x - this.#x(to), 0);
    const nearest = lane?.items.toSorted(
      (one, other) => distance(one) - distance(other) || one.to - one.from - (other.to - other.from),
    )[0];
    const item = nearest && distance(nearest) <= REACH ? nearest : undefined;
    // A span is chosen where it was clicked, a moment where it is.
    const at = item === undefined || item.to - item.from > 0 ? this.#ms(x) : item.to;
    this.#options.onPick(at, item);
  }

  #listen(): void {
    const { signal, endMs } = this.#options;
    const target = this.#drawing as unknown as HTMLElement;
    const place = (event: MouseEvent) => {
      const box = this.#drawing.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top] as const;
    };
    on(
      target,
      'wheel',
      signal,
      (event) => {
        const length = this.#view.to - this.#view.from;
        if (event.ctrlKey || event.metaKey)
          this.#zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 200))), this.#ms(place(event)[0]));
        else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) && length < endMs)
          this.#show(panned(this.#view, (event.deltaX / this.#width) * length, endMs));
        else return;
        event.preventDefault();
      },
      { passive: false },
    );
    on(target, 'pointerdown', signal, (event) => {
      this.#pointers.set(event.pointerId, place(event)[0]);
      if (this.#pointers.size === 1) this.#moved = 0;
      this.#drawing.setPointerCapture(event.pointerId);
    });
    on(target, 'pointermove', signal, (event) => this.#drag(event, place(event)[0]));
    on(target, 'pointerup', signal, (event) => {
      const single = this.#pointers.size === 1;
      this.#pointers.delete(event.pointerId);
      if (single && this.#moved < 5) this.#pick(...place(event));
    });
    on(target, 'pointercancel', signal, (event) => void this.#pointers.delete(event.pointerId));
    on(target, 'dblclick', signal, (event) => this.#zoom(0.33, this.#ms(place(event)[0])));
    on(target, 'keydown', signal, (event) => {
      const length = this.#view.to - this.#view.from;
      if (event.key === '+' || event.key === '=') this.#zoom(0.5, this.#playAt);
      else if (event.key === '-') this.#zoom(2, this.#playAt);
      else if (event.key === 'ArrowLeft' || event.key === 'ArrowRight')
        this.#options.onPick(
          Math.min(endMs, Math.max(0, this.#playAt + (event.key === 'ArrowLeft' ? -1 : 1) * (length / 50))),
          undefined,
        );
      else return;
      event.preventDefault();
    });
  }

  #drag(event: PointerEvent, x: number): void {
    const before = this.#pointers.get(event.pointerId);
    if (before === undefined) return;
    const length = this.#view.to - this.#view.from;
    this.#moved += Math.abs(x - before);
    const [other] = [...this.#pointers].filter(([id]) => id !== event.pointerId);
    this.#pointers.set(event.pointerId, x);
    if (other) {
      const [was, is] = [Math.max(10, Math.abs(before - other[1])), Math.max(10, Math.abs(x - other[1]))];
      this.#zoom(was / is, this.#ms((x + other[1]) / 2));
    } else if (length < this.#options.endMs && this.#moved >= 5) {
      this.#show(panned(this.#view, ((before - x) / (this.#width - this.#gutter)) * length, this.#options.endMs));
    }
  }
}

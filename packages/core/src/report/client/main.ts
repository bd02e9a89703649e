import type { PageData } from '../html/page-data.js';
import { on } from './elements.js';
import { Viewer } from './viewer.js';

const forever = new AbortController().signal;

function start(): void {
  const source = document.getElementById('data');
  const section = document.getElementById('viewer');
  if (!source || !section) return;
  const data = JSON.parse(source.textContent) as PageData;
  const strips = [...document.querySelectorAll<HTMLElement>('.strip')];
  let [chosenRun, chosen] = [0, -1];
  const viewer = new Viewer(section, data, (run, position) => {
    strips[chosenRun]?.children[chosen]?.classList.remove('chosen');
    strips[run]?.children[position]?.classList.add('chosen');
    [chosenRun, chosen] = [run, position];
  });
  const show = (run: number, position: number, at?: number) => void viewer.show(run, position, at);

  for (const [run, strip] of strips.entries()) {
    on(strip, 'click', forever, (event) => {
      const position = [...strip.children].findIndex((mark) => mark === event.target);
      if (position !== -1) show(run, position);
    });
    on(strip, 'keydown', forever, (event) => {
      const by = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
      if (by === 0) return;
      event.preventDefault();
      show(run, Math.max(0, Math.min(strip.children.length - 1, (chosenRun === run ? chosen : -1) + by)));
    });
  }
  // Buttons, and parts of charts.
  for (const moment of document.querySelectorAll<HTMLElement | SVGElement>('[data-attempt][data-at]')) {
    on(moment, 'click', forever, () => {
      const run = Number(moment.dataset['run']);
      show(run, data.runs[run]?.index.indexOf(Number(moment.dataset['attempt'])) ?? -1, Number(moment.dataset['at']));
      section.scrollIntoView({ behavior: 'smooth', block: 'start' });
    });
  }
  openFirst(data, show);
  printWhole();
}

/** On paper nothing can be opened: stacks, dumps and the command line are, while it is printed. */
function printWhole(): void {
  let closed: HTMLDetailsElement[] = [];
  addEventListener('beforeprint', () => {
    closed = [
      ...document.querySelectorAll<HTMLDetailsElement>('#failures details, #sysrq details, #environment details'),
    ].filter(({ open }) => !open);
    for (const details of closed) details.open = true;
  });
  addEventListener('afterprint', () => {
    for (const details of closed) details.open = false;
  });
}

/** A failed attempt that is whole in this file, else any such, else the first there is. */
function openFirst({ runs }: PageData, show: (run: number, position: number) => void): void {
  const places = runs.flatMap((run, number) =>
    run.index.map((index, position) => ({
      number,
      position,
      whole: run.evidence[index] !== undefined,
      failed: run.outcome[position] === 'r',
    })),
  );
  const first = places.find(({ whole, failed }) => whole && failed) ?? places.find(({ whole }) => whole) ?? places[0];
  if (first) show(first.number, first.position);
}

start();

import { safeLine } from '../../util/text/text-hygiene.js';
import type { Evidence } from './evidence.js';

/** An item on the time axis of an attempt. */
export interface Item {
  readonly from: number;
  readonly to: number;
  readonly label: string;
  /** For the colour. */
  readonly tone: 'plain' | 'error' | 'warning' | 'info';
  /** Lines of the console that it was read from. */
  readonly lines?: readonly string[];
}

export interface Lane {
  readonly name: string;
  readonly items: readonly Item[];
}

type Event = Evidence['events'][number];

const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
const number = (value: unknown) => (typeof value === 'number' && Number.isFinite(value) ? value : undefined);
const object = (value: unknown): Event => (typeof value === 'object' && value !== null ? (value as Event) : {});

const NAMES = ['QMP', 'Commands', 'Keys', 'Guest', 'Findings', 'Shutdown', 'Notes'] as const;

/** The events of an attempt as lanes of one time axis; lanes without any are left out. */
export function lanesOf(events: readonly Event[], endMs: number): Lane[] {
  const lanes = new Map<(typeof NAMES)[number], Item[]>(NAMES.map((name) => [name, []]));
  const put = (
    lane: (typeof NAMES)[number],
    to: number,
    label: string,
    tone: Item['tone'] = 'plain',
    ms = 0,
    lines?: readonly string[],
  ) =>
    lanes.get(lane)?.push({
      from: Math.max(0, to - ms),
      to: Math.max(0, to),
      label: safeLine(label).slice(0, 400),
      tone,
      ...(lines && { lines }),
    });
  const phases: { at: number; phase: string }[] = [];
  for (const event of events) {
    const at = number(event['at']);
    if (at === undefined) continue;
    const ms = number(event['ms']) ?? 0;
    switch (event['type']) {
      case 'qmp':
        put('QMP', at, `${text(event['event']) ?? 'event'} ${shortJson(event['data'])}`);
        break;
      case 'exec':
        put(
          'Commands',
          at,
          `${text(event['command']) ?? ''} → ${text(event['error']) ?? `exit ${number(event['exitCode']) ?? '?'}`}`,
          event['exitCode'] === 0 ? 'plain' : 'warning',
          ms,
        );
        break;
      case 'typed':
        put('Keys', at, typedLabel(event), 'info');
        break;
      case 'snapshot':
      case 'restored':
        put('Guest', at, `${event['type']} ${text(event['name']) ?? ''}`, 'info', ms);
        break;
      case 'started':
        put('Guest', at, `QEMU started, pid ${number(event['pid']) ?? '?'}`, 'info');
        break;
      case 'ended':
        put('Guest', at, text(event['message']) ?? 'QEMU ended', 'warning');
        break;
      case 'finding': {
        const finding = object(event['finding']);
        put(
          'Findings',
          at,
          text(finding['title']) ?? 'a finding',
          toneOf(finding['severity']),
          0,
          linesOf(finding['evidence']),
        );
        break;
      }
      case 'poweroff':
        phases.push({ at, phase: text(event['phase']) ?? '?' });
        break;
      case 'note':
        put('Notes', at, text(event['text']) ?? '');
        break;
      case 'attached':
        put('Notes', at, `kept ${text(event['name']) ?? 'a file'}`, 'info');
        break;
      case 'console-cut':
        put(
          'Notes',
          at,
          `from here on the console was not recorded: ${number(event['dropped']) ?? 'some'} bytes`,
          'warning',
        );
        break;
      default:
        break;
    }
  }
  for (const [index, { at, phase }] of phases.entries()) {
    const to = phases[index + 1]?.at ?? (phase === 'off' ? at : endMs);
    put('Shutdown', to, `poweroff: ${phase}`, phase === 'off' ? 'info' : 'plain', to - at);
  }
  return [...lanes].filter(([, items]) => items.length > 0).map(([name, items]) => ({ name, items }));
}

function typedLabel(event: Event): string {
  const keys = Array.isArray(event['keys']) ? event['keys'].filter((key) => typeof key === 'string') : undefined;
  const what = text(event['text']);
  const typed =
    what !== undefined
      ? `typed ${JSON.stringify(what)}`
      : keys !== undefined
        ? `pressed ${keys.join(' ')}`
        : 'typed a secret';
  return event['into'] === 'keyboard' ? `${typed} on the keyboard` : typed;
}

function linesOf(evidence: unknown): string[] {
  const lines: unknown[] = Array.isArray(evidence) ? evidence : [];
  return lines
    .slice(0, 8)
    .flatMap((line) => (typeof line === 'string' ? [safeLine(line).trim()] : []))
    .filter((line) => line.length > 12);
}

function toneOf(severity: unknown): Item['tone'] {
  return severity === 'warning' || severity === 'info' ? severity : 'error';
}

function shortJson(value: unknown): string {
  const json = JSON.stringify(value) ?? '';
  return json === '{}' ? '' : json.slice(0, 160);
}

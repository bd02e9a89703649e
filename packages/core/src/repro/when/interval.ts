import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJsonLines } from '../../run-files/salvage.js';
import type { WhenResult } from '../../run-files/when-file.js';
import { formatDuration } from '../../util/text/format.js';
import { safeLine, stripEscapes } from '../../util/text/text-hygiene.js';

const MAX_LINES = 40;
const MAX_CHARACTERS = 300;
/** Of QEMU, which pauses and resumes the guest for each checkpoint. */
const COMMON = new Set(['STOP', 'RESUME']);

/** Reads what an attempt printed and did between two times, in ms. Parts that are missing are left out. */
export async function readInterval(
  folder: string,
  from: number,
  to: number,
): Promise<NonNullable<WhenResult['interval']>> {
  const [log, timing, events] = await Promise.all(
    ['console.log', 'console.timing', 'events.jsonl'].map((name) =>
      readFile(join(folder, name)).catch(() => Buffer.alloc(0)),
    ),
  );
  return {
    console: log && timing ? linesBetween(log, timing.toString('latin1'), from, to) : [],
    events: parseJsonLines(events?.toString('utf8') ?? '')
      .objects.flatMap((event) => eventBetween(event, from, to))
      .slice(0, MAX_LINES),
  };
}

/** console.timing has lines `MS OFFSET`: the bytes from this offset on came at this time. */
export function linesBetween(log: Buffer, timing: string, from: number, to: number): string[] {
  const stamps = [...timing.matchAll(/^(\d{1,12}) (\d{1,12})$/gm)].map(([, ms, offset]) => ({
    ms: Number(ms),
    offset: Number(offset),
  }));
  const begin = stamps.find(({ ms }) => ms > from)?.offset ?? log.length;
  const end = stamps.find(({ ms }) => ms > to)?.offset ?? log.length;
  const lines = stripEscapes(log.subarray(begin, end).toString('utf8'))
    .split(/\r*\n/)
    .map((line) => safeLine(line).slice(0, MAX_CHARACTERS))
    .filter((line) => line.trim() !== '');
  if (lines.length <= MAX_LINES) return lines;
  return [...lines.slice(0, MAX_LINES / 2), `[${lines.length - MAX_LINES} lines]`, ...lines.slice(-MAX_LINES / 2)];
}

function eventBetween(
  event: Readonly<Record<string, unknown>>,
  from: number,
  to: number,
): { at: number; text: string }[] {
  const { at } = event;
  if (typeof at !== 'number') return [];
  // The event of a command is that of its end.
  const begun = event['type'] === 'exec' && typeof event['ms'] === 'number' ? at - event['ms'] : at;
  const text = at > from && begun <= to ? textOf(event) : undefined;
  return text === undefined ? [] : [{ at: Math.round(begun), text: safeLine(text).slice(0, MAX_CHARACTERS) }];
}

function textOf(event: Readonly<Record<string, unknown>>): string | undefined {
  const field = (name: string) => {
    const value = event[name];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  };
  switch (event['type']) {
    case 'exec':
      return `command: ${field('command')} (status ${field('exitCode')} after ${formatDuration(Number(event['ms']))})`;
    case 'typed':
      return `typed into the ${field('into')}: ${event['text'] === undefined ? 'keys' : field('text')}`;
    case 'note':
      return `note: ${field('text')}`;
    case 'qmp':
      return COMMON.has(field('event')) ? undefined : `QEMU: ${field('event')}`;
    case 'poweroff':
      return `poweroff: ${field('phase')}`;
    case 'ended':
      return `QEMU ended: ${field('message')}`;
    default:
      return undefined;
  }
}

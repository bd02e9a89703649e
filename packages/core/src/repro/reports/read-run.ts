import { open, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { QmpilotError } from '../../errors.js';
import { evidenceOrder } from '../../report/analysis/evidence-order.js';
import type { AttemptEvidence, RunInput } from '../../report/analysis/input.js';
import { mergeShards } from '../../report/analysis/merge-shards.js';
import { describeRunFile } from '../../report/wording/run-description.js';
import type { AttemptRecord } from '../../run-files/attempt-record.js';
import { salvageAttempts } from '../../run-files/attempts-file.js';
import { salvageRunFile } from '../../run-files/run-file.js';
import { parseJson, parseJsonLines } from '../../run-files/salvage.js';
import { parseWhen, WHEN_FILE, WHEN_FOLDER, type WhenResult } from '../../run-files/when-file.js';
import { isObject } from '../../util/validation/is-object.js';

/** Options of `readRuns`. */
export interface ReadRunOptions {
  /** Directory of the report, from which links to the attempts start. Default: the run directory. */
  readonly from?: string | undefined;
  /** Without consoles and events: enough for numbers. */
  readonly evidence?: boolean | undefined;
}

const CONSOLE_BYTES = 1 << 20;
/** More than a screen holds, however it was drawn. */
const PROLOGUE_BYTES = 256 << 10;
const EVENT_BYTES = 4 << 20;
const FILE_BYTES = 64 << 10;
const MAX_FILES = 24;
/** For all attempts of a report together, before they are packed. */
const MAX_BYTES = 24 << 20;
const MAX_ATTEMPTS = 60;
const OWN_FILES = new Set([
  'console.log',
  'console-end.log',
  'console.timing',
  'events.jsonl',
  'findings.json',
  'screen-start.txt',
  'explanation.json',
  'memory.elf',
  'checkpoints',
  'when',
]);

/**
 * Reads run directories for reports, and merges shards of one run. Missing or damaged parts are left out and noted, so that a run in
 * progress, or one that was cut off, can be read at any time.
 * @throws {USAGE} when a folder is not a run directory
 */
export async function readRuns(dirs: readonly string[], options: ReadRunOptions = {}): Promise<RunInput[]> {
  const paths = dirs.map((dir) => resolve(dir));
  if (new Set(paths).size < paths.length)
    throw new QmpilotError('USAGE', 'a run directory was named twice', { hint: 'name each once' });
  const labels = distinctLabels(paths);
  const share = options.evidence === false ? 0 : MAX_BYTES / Math.max(1, paths.length);
  return mergeShards(
    await Promise.all(
      paths.map((dir, index) => readRun(dir, labels[index] ?? dir, resolve(options.from ?? dir), share)),
    ),
  );
}

/** The folders' names; with their parents where two are the same. */
function distinctLabels(paths: readonly string[]): string[] {
  const names = paths.map((path) => basename(path));
  return new Set(names).size === names.length ? names : paths.map((path) => path.split('/').slice(-2).join('/'));
}

async function readRun(dir: string, label: string, from: string, budget: number): Promise<RunInput> {
  const lines = await readFile(join(dir, 'attempts.jsonl'), 'utf8').catch(() => undefined);
  const description = await readFile(join(dir, 'run.json'), 'utf8').catch(() => undefined);
  if (lines === undefined && description === undefined) {
    throw new QmpilotError('USAGE', `${dir} is not a run directory: it has neither run.json nor attempts.jsonl`, {
      hint: 'name a folder that qmpilot repro wrote',
    });
  }
  const { attempts, damaged } = salvageAttempts(lines ?? '');
  const folder = (index: number) => join(dir, 'attempts', String(index).padStart(4, '0'));
  const evidence = new Map<number, AttemptEvidence>();
  const prologue =
    budget === 0 ? undefined : (await readEnd(join(dir, 'prepare', 'console.log'), PROLOGUE_BYTES)).bytes;
  let left = budget;
  for (const index of evidenceOrder(attempts).slice(0, MAX_ATTEMPTS)) {
    if (left <= 0) break;
    const one = await readEvidence(folder(index));
    if (one === undefined) continue;
    left -= sizeOf(one);
    evidence.set(index, one);
  }
  return {
    label,
    dir,
    run: describeRunFile(salvageRunFile(description ?? ''), label),
    attempts,
    evidence,
    when: (await Promise.all(attempts.map((attempt) => readWhen(folder(attempt.index), attempt)))).filter(
      (result) => result !== undefined,
    ),
    ...(prologue !== undefined && prologue.length > 0 && { prologue }),
    folder: (index) => link(relative(from, folder(index))),
    notes: [
      ...(description === undefined ? ['run.json is missing: the environment is unknown.'] : []),
      ...(description !== undefined && !isObject(parseJson(description))
        ? ['run.json is damaged: the environment is unknown.']
        : []),
      ...(damaged > 0
        ? [
            `${damaged} ${damaged === 1 ? 'line' : 'lines'} of attempts.jsonl could not be read and ${damaged === 1 ? 'is' : 'are'} left out.`,
          ]
        : []),
    ],
  };
}

async function readWhen(
  folder: string,
  { index, checkpoints }: Pick<AttemptRecord, 'index' | 'checkpoints'>,
): Promise<WhenResult | undefined> {
  if (checkpoints === undefined) return undefined;
  const { bytes, skipped } = await readEnd(join(folder, WHEN_FOLDER, WHEN_FILE), EVENT_BYTES);
  const result = skipped === 0 ? parseWhen(text(bytes)) : undefined;
  return result?.attempt === index ? result : undefined;
}

const link = (path: string) => `${path.split('/').map(encodeURIComponent).join('/')}/`;

function sizeOf({ console, timing, events, files }: AttemptEvidence): number {
  return (
    console.length +
    timing.length +
    JSON.stringify(events).length +
    files.reduce((sum, { text }) => sum + text.length, 0)
  );
}

async function readEvidence(dir: string): Promise<AttemptEvidence | undefined> {
  const names = await readdir(dir).catch(() => undefined);
  if (names === undefined) return undefined;
  const [console, timing, events, start] = await Promise.all([
    readEnd(join(dir, 'console.log'), CONSOLE_BYTES),
    readEnd(join(dir, 'console.timing'), EVENT_BYTES),
    readEnd(join(dir, 'events.jsonl'), EVENT_BYTES),
    readEnd(join(dir, 'screen-start.txt'), FILE_BYTES),
  ]);
  const files = await Promise.all(
    names
      .filter((name) => !OWN_FILES.has(name))
      .toSorted()
      .slice(0, MAX_FILES)
      .map((name) => readTextFile(dir, name)),
  );
  return {
    console: console.bytes,
    consoleDropped: console.skipped,
    timing: shifted(console.skipped, timing.bytes),
    events: parseJsonLines(text(events.bytes)).objects,
    ...(start.bytes.length > 0 && console.skipped === 0 && { screenStart: text(start.bytes) }),
    files: files.filter((file) => file !== undefined),
  };
}

const text = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');

/** Offsets as they are when the beginning of the console is left out. */
function shifted(skipped: number, bytes: Uint8Array): string {
  if (skipped === 0) return text(bytes);
  return text(bytes).replace(/^(\d+) (\d+)$/gm, (line, ms: string, offset: string) =>
    Number(offset) < skipped ? '' : `${ms} ${Number(offset) - skipped}`,
  );
}

async function readTextFile(dir: string, name: string): Promise<AttemptEvidence['files'][number] | undefined> {
  const path = join(dir, name);
  if (
    !(await stat(path).then(
      (info) => info.isFile(),
      () => false,
    ))
  )
    return undefined;
  const file = await open(path);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(FILE_BYTES), 0, FILE_BYTES, 0);
    const bytes = buffer.subarray(0, bytesRead);
    if (bytes.includes(0)) return undefined;
    return { name, text: `${bytes.toString('utf8')}${bytesRead === FILE_BYTES ? '\n[…]\n' : ''}` };
  } finally {
    await file.close();
  }
}

/** The last `most` bytes: how it ended is at the end. Nothing for a file that is not there. */
async function readEnd(path: string, most: number): Promise<{ readonly bytes: Uint8Array; readonly skipped: number }> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return { bytes: new Uint8Array(), skipped: 0 };
  try {
    const { size } = await file.stat();
    const skipped = Math.max(0, size - most);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(size, most)), 0, Math.min(size, most), skipped);
    return { bytes: buffer.subarray(0, bytesRead), skipped };
  } finally {
    await file.close();
  }
}

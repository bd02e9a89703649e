import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { createKernelLogDetector } from '@qmpilot/core/detect';
import type { KernelLogFinding, Severity } from '@qmpilot/core/detect';
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { helpText } from '../help.js';
import { renderJson } from '../render/json.js';
import { visible } from '../render/visible.js';

const SEVERITIES: readonly Severity[] = ['info', 'warning', 'error'];
const TICK_MS = 500;
const SNIFFED_BYTES = 65_536;
/** Share of control bytes that no console prints; compressed data has a tenth, text none. */
const BINARY_SHARE = 0.05;
const GZIP_MAGIC = 0x1f8b;
const SHOWN_FRAMES = 6;

interface ScanOptions {
  readonly json?: boolean;
  readonly severity: Severity;
}

interface Failure {
  readonly first: KernelLogFinding;
  count: number;
}

/** A log that cannot be read as one; the message is for the user. */
class UnreadableLogError extends Error {
  override readonly name = 'UnreadableLogError';
}

/** `qmpilot scan [FILE...]`: exit 0 nothing found, 1 findings, 2 the arguments or a file cannot be used. */
export function registerScan(program: Command): void {
  program
    .command('scan')
    .description('find kernel failures in a console or kernel log')
    .argument('[file...]', 'logs to read; - or none for standard input')
    .option('--json', 'print one JSON line per report')
    .option('--severity <level>', 'report from this severity on: info, warning or error', parseSeverity, 'warning')
    .addHelpText(
      'after',
      helpText('Exit status: 0 nothing found, 1 failures found, 2 usage error or an unreadable file.'),
    )
    .action(async (files: string[], options: ScanOptions) => {
      const names = files.length === 0 ? ['-'] : files;
      let found = false;
      let unreadable = false;
      for (const name of names) {
        try {
          found = (await scanOne(name, options, names.length > 1)) || found;
        } catch (error) {
          if (!(error instanceof UnreadableLogError)) throw error;
          process.stderr.write(`qmpilot scan: ${visible(error.message)}\n`);
          unreadable = true;
        }
      }
      process.exitCode = unreadable ? 2 : found ? 1 : 0;
    });
}

async function scanOne(name: string, options: ScanOptions, several: boolean): Promise<boolean> {
  const failures = new Map<string, Failure>();
  const wanted = SEVERITIES.indexOf(options.severity);
  let found = false;
  for await (const finding of findings(await openLog(name), name)) {
    if (SEVERITIES.indexOf(finding.severity) < wanted) continue;
    found = true;
    if (options.json === true)
      process.stdout.write(`${renderJson({ v: 1, type: 'finding', file: name, ...finding }, false)}\n`);
    const known = failures.get(finding.signature);
    if (known === undefined) failures.set(finding.signature, { first: finding, count: 1 });
    else known.count++;
  }
  if (options.json !== true) process.stdout.write(render(name, failures, several));
  return found;
}

async function openLog(name: string): Promise<Readable> {
  if (name === '-') {
    if (process.stdin.isTTY) throw new UnreadableLogError('name a log file, or pipe a log in: dmesg | qmpilot scan');
    return process.stdin;
  }
  try {
    if ((await stat(name)).isDirectory()) throw new UnreadableLogError(`${name} is a directory; name the logs in it`);
  } catch (error) {
    if (error instanceof UnreadableLogError) throw error;
    throw unreadable(name, error);
  }
  return createReadStream(name, { highWaterMark: 1 << 20 });
}

async function* findings(log: Readable, name: string): AsyncGenerator<KernelLogFinding> {
  const detector = createKernelLogDetector();
  const started = performance.now();
  const elapsed = () => (name === '-' ? performance.now() - started : 0);
  let sniffed = 0;
  let strange = 0;
  try {
    for await (const chunk of withTicks(log)) {
      if (chunk === undefined) {
        yield* detector.tick(elapsed()).map(onKernelClock);
        continue;
      }
      if (sniffed < SNIFFED_BYTES) {
        if (sniffed === 0 && chunk.length > 1 && chunk.readUInt16BE(0) === GZIP_MAGIC) {
          throw new UnreadableLogError(`${name} is compressed; unpack it first: zcat ${name} | qmpilot scan`);
        }
        const head = chunk.subarray(0, SNIFFED_BYTES - sniffed);
        sniffed += head.length;
        strange += countStrange(head);
        if (strange > sniffed * BINARY_SHARE && strange > 16) {
          throw new UnreadableLogError(`${name} is a binary file, not a console log`);
        }
      }
      yield* detector.push(chunk, elapsed()).map(onKernelClock);
    }
  } catch (error) {
    throw error instanceof UnreadableLogError ? error : unreadable(name, error);
  }
  yield* detector.end(elapsed()).map(onKernelClock);
}

/** The chunks of the log, and `undefined` from time to time while none comes. */
async function* withTicks(log: Readable): AsyncGenerator<Buffer | undefined> {
  const chunks = log[Symbol.asyncIterator]();
  let next = chunks.next();
  for (;;) {
    let timer: NodeJS.Timeout | undefined;
    const tick = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, TICK_MS, undefined);
    });
    const result: IteratorResult<unknown> | undefined = await Promise.race([next, tick]);
    clearTimeout(timer);
    if (result === undefined) {
      yield undefined;
      continue;
    }
    if (result.done === true) return;
    yield Buffer.isBuffer(result.value) ? result.value : Buffer.from(String(result.value));
    next = chunks.next();
  }
}

/** A log has no other clock than the kernel's, where the kernel printed it. */
function onKernelClock(finding: KernelLogFinding): KernelLogFinding {
  return finding.kernelTime === undefined ? finding : { ...finding, at: Math.round(finding.kernelTime * 1000) };
}

function countStrange(bytes: Uint8Array): number {
  let strange = 0;
  for (const byte of bytes) {
    // Bell, backspace, tab, line feed, form feed, carriage return, shift out and in, and escape are a terminal's own.
    if (byte < 32 && (byte < 7 || byte > 15) && byte !== 27) strange++;
  }
  return strange;
}

function unreadable(name: string, error: unknown): UnreadableLogError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const reason =
    code === 'ENOENT'
      ? 'there is no such file'
      : code === 'EACCES'
        ? 'permission denied'
        : error instanceof Error
          ? error.message
          : String(error);
  return new UnreadableLogError(`cannot read ${name}: ${reason}`);
}

function render(name: string, failures: ReadonlyMap<string, Failure>, several: boolean): string {
  const where = several ? `${visible(name)}: ` : '';
  if (failures.size === 0) return `${where}no failures found\n`;
  const blocks = [...failures.values()].map(({ first, count }) => {
    const lines = [
      `${where}${first.severity}: ${first.title}${count > 1 ? ` (${count} times)` : ''}`,
      `    ${facts(first)}`,
    ];
    const frames = (first.stack ?? []).filter(({ uncertain }) => uncertain !== true).slice(0, SHOWN_FRAMES);
    if (frames.length > 0) lines.push(`    stack: ${frames.map((frame) => frame.function).join(' < ')}`);
    return lines
      .filter((line) => line.trim() !== '')
      .map(visible)
      .join('\n');
  });
  return `${blocks.join('\n')}\n`;
}

function facts(finding: KernelLogFinding): string {
  return [
    finding.kernelTime === undefined ? '' : `at ${finding.kernelTime.toFixed(6)} s`,
    finding.task === undefined ? '' : `task ${finding.task.comm}, pid ${finding.task.pid}`,
    finding.cpu === undefined ? '' : `CPU ${finding.cpu}`,
    finding.panic === undefined ? '' : `kernel panic: ${finding.panic}`,
    finding.after === undefined ? '' : `perhaps only a consequence of: ${finding.after}`,
    finding.cut ? 'report is cut' : '',
    finding.interleaved ? 'mixed with another report' : '',
  ]
    .filter((fact) => fact !== '')
    .join('; ');
}

function parseSeverity(value: string): Severity {
  const severity = SEVERITIES.find((known) => known === value);
  if (severity === undefined) throw new InvalidArgumentError(`it must be one of ${SEVERITIES.join(', ')}.`);
  return severity;
}

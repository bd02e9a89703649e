import type { KernelLogFinding, Severity, UnreadLines } from '@qmpilot/core/detect';
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { EXIT } from '../../exit-codes.js';
import { helpText } from '../../help.js';
import { renderJson } from '../../render/json.js';
import { visible } from '../../render/text/visible.js';
import { readLog } from './read-log.js';
import { renderFailures } from './render.js';
import type { Failure } from './render.js';
import type { SourceLines } from './source-lines.js';
import { UnreadableLogError } from './unreadable.js';

const SEVERITIES: readonly Severity[] = ['info', 'warning', 'error'];
interface ScanOptions {
  readonly json?: boolean;
  readonly severity: Severity;
  readonly vmlinux?: string;
}

type Outcome = 'clean' | 'found' | 'unclear' | 'unreadable';

/** `qmpilot scan [FILE...]` */
export function registerScan(program: Command): void {
  program
    .command('scan')
    .description('find kernel failures in a console or kernel log')
    .argument('[file...]', 'logs to read; - or none for standard input')
    .option('--json', 'print one JSON line per report')
    .option('--severity <level>', 'report from this severity on: info, warning or error', parseSeverity, 'warning')
    .option(
      '--vmlinux <path>',
      "print files and lines of the stacks, by the kernel's vmlinux or the tree it was built in",
    )
    .addHelpText(
      'after',
      helpText(
        'Logs may be compressed with gzip, zstd, xz or bzip2. Exit status: 0 nothing found, 1 failures found, 2 usage error or an unreadable file, 125 undecided: the words of a failure in a log of unknown format.',
      ),
    )
    .action(async (files: string[], options: ScanOptions) => {
      const names = files.length === 0 ? ['-'] : files;
      const outcomes = new Set<Outcome>();
      using source = options.vmlinux === undefined ? undefined : await openSourceLines(options.vmlinux);
      for (const name of names) outcomes.add(await new LogScan(name, options, names.length > 1, source).run());
      if (source?.problem !== undefined)
        process.stderr.write(
          `qmpilot scan: ${visible(options.vmlinux ?? '')} is not of the kernel of the log: ${visible(source.problem)}\n`,
        );
      process.exitCode = exitCodeOf(outcomes);
    });
}

async function openSourceLines(vmlinux: string): Promise<SourceLines> {
  const { SourceLines: opened } = await import('./source-lines.js');
  return opened.open(vmlinux);
}

function exitCodeOf(outcomes: ReadonlySet<Outcome>): number {
  if (outcomes.has('unreadable')) return EXIT.usage;
  if (outcomes.has('found')) return EXIT.found;
  return outcomes.has('unclear') ? EXIT.cannotTell : EXIT.fine;
}

/** The scan of one log. */
class LogScan {
  readonly #name: string;
  readonly #options: ScanOptions;
  readonly #where: string;
  readonly #failures = new Map<string, Failure>();
  readonly #started = performance.now();
  readonly #source: SourceLines | undefined;
  #any = false;

  constructor(name: string, options: ScanOptions, several: boolean, source: SourceLines | undefined) {
    this.#name = name;
    this.#options = options;
    this.#source = source;
    this.#where = several ? `${visible(name)}: ` : '';
  }

  async run(): Promise<Outcome> {
    const problem = await this.#read();
    const found = this.#failures.size > 0;
    if (this.#options.json !== true) process.stdout.write(renderFailures([...this.#failures.values()], this.#where));
    if (problem === 'unreadable') return problem;
    if (found) return 'found';
    if (problem === undefined && this.#options.json !== true) process.stdout.write(`${this.#where}no failures found\n`);
    return problem ?? 'clean';
  }

  async #read(): Promise<'unreadable' | 'unclear' | undefined> {
    const { createKernelLogDetector, createLogDecoder } = await import('@qmpilot/core/detect');
    const detector = createKernelLogDetector();
    const decoder = createLogDecoder();
    try {
      for await (const chunk of readLog(this.#name)) {
        const bytes = chunk === undefined ? decoder.flush() : decoder.push(chunk);
        if (decoder.encoding === 'binary')
          throw new UnreadableLogError(`${this.#name} is a binary file, not a console log`);
        await this.#take(chunk === undefined ? detector.tick(this.#elapsed()) : []);
        await this.#take(detector.push(bytes, this.#elapsed()));
      }
      const bytes = decoder.end();
      if (decoder.encoding === 'binary')
        throw new UnreadableLogError(`${this.#name} is a binary file, not a console log`);
      await this.#take([...detector.push(bytes, this.#elapsed()), ...detector.end(this.#elapsed())]);
    } catch (error) {
      // Earlier findings are still reported.
      await this.#take(detector.end(this.#elapsed()));
      if (!(error instanceof UnreadableLogError)) throw error;
      process.stderr.write(`qmpilot scan: ${visible(error.message)}\n`);
      return 'unreadable';
    }
    return this.#explain(detector.unread);
  }

  /** Times of arrival make sense for a pipe only. */
  #elapsed(): number {
    return this.#name === '-' ? performance.now() - this.#started : 0;
  }

  async #take(findings: readonly KernelLogFinding[]): Promise<void> {
    for (const finding of findings) {
      this.#any = true;
      if (SEVERITIES.indexOf(finding.severity) < SEVERITIES.indexOf(this.#options.severity)) continue;
      // A reader that closes the pipe early must not take it for "nothing found".
      process.exitCode = EXIT.found;
      const known = this.#failures.get(finding.signature);
      const source = known === undefined || this.#options.json ? await this.#source?.locate(finding) : undefined;
      if (known === undefined) this.#failures.set(finding.signature, { first: finding, count: 1, source });
      else known.count++;
      // A log has no other clock than the kernel's, where the kernel printed it.
      const at = finding.kernelTime === undefined ? finding.at : Math.round(finding.kernelTime * 1000);
      if (this.#options.json !== true) continue;
      const record = { v: 1, type: 'finding', file: this.#name, ...finding, at, ...(source && { frames: source }) };
      process.stdout.write(`${renderJson(record, false)}\n`);
    }
  }

  /** Says what held the words of a failure and was not taken for the kernel's. */
  #explain({ count, first = '', recognized }: UnreadLines): 'unclear' | undefined {
    if (count === 0 || this.#any) return undefined;
    const what = `${count === 1 ? 'a line holds' : `${count} lines hold`} the words of a kernel failure`;
    const why = recognized
      ? 'but a program wrote them, not the kernel'
      : 'but the form of this log is not known, so it cannot be told whether the kernel wrote them';
    process.stderr.write(visible(`qmpilot scan: ${this.#name}: ${what}, ${why}; the first: ${first}`) + '\n');
    return recognized ? undefined : 'unclear';
  }
}

function parseSeverity(value: string): Severity {
  const severity = SEVERITIES.find((known) => known === value);
  if (severity === undefined) throw new InvalidArgumentError(`it must be one of ${SEVERITIES.join(', ')}.`);
  return severity;
}

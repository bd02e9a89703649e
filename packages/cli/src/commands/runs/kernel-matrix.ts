import { mkdir, readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { QmpilotError, type RunSummary } from '@qmpilot/core';
import { errnoOf } from '@qmpilot/core/internal';
import { EXIT, exitCodeOfRun } from '../../exit-codes.js';
import { visible } from '../../render/text/visible.js';

interface MatrixOptions {
  readonly kernel?: readonly string[];
  readonly out?: string;
  readonly resume?: string;
  readonly shard?: unknown;
  readonly json?: boolean;
}

/**
 * Runs a scenario on each kernel, one after the other, and compares the runs with the first in one report.
 * @returns the exit status
 */
export async function runMatrix<O extends MatrixOptions>(
  kernels: readonly string[],
  options: O,
  run: (options: O) => Promise<RunSummary>,
): Promise<number> {
  if (options.resume !== undefined || options.shard !== undefined)
    throw new QmpilotError('USAGE', 'repro: several --kernel cannot be combined with --resume or --shard', {
      hint: 'run the kernels one by one, and compare the runs with qmpilot report',
    });
  const labels = kernelLabels(kernels);
  const out = resolve(options.out ?? join('runs', `kernels-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`));
  await mustBeEmpty(out);
  const dirs: string[] = [];
  const statuses: number[] = [];
  for (const [index, kernel] of kernels.entries()) {
    const label = labels[index] ?? kernel;
    if (options.json !== true) process.stderr.write(`kernel ${index + 1} of ${kernels.length}: ${visible(kernel)}\n`);
    const dir = join(out, label);
    statuses.push(exitCodeOfRun(await run({ ...options, kernel: [kernel], out: dir })));
    dirs.push(dir);
  }
  const { readRuns, renderText, writeReport } = await import('@qmpilot/core/report');
  if (options.json !== true) process.stdout.write(renderText(await readRuns(dirs, { evidence: false })));
  try {
    const report = await writeReport(dirs, join(out, 'report.html'));
    if (options.json !== true) process.stdout.write(`report: ${visible(report)}\n`);
  } catch (error) {
    // The runs are on disk, and their verdict is valid.
    process.stderr.write(
      `qmpilot: cannot write the report: ${visible(error instanceof Error ? error.message : String(error))}\n`,
    );
  }
  return statusOf(statuses);
}

/** 1 when a kernel reproduces; else 125 when one is inconclusive. */
export function statusOf(statuses: readonly number[]): number {
  if (statuses.includes(EXIT.found)) return EXIT.found;
  return statuses.find((status) => status !== EXIT.fine) ?? EXIT.fine;
}

/** A folder's name for each kernel: the name of its package, file or folder; numbered where two are the same. */
export function kernelLabels(kernels: readonly string[]): string[] {
  const names = kernels.map((kernel) => {
    const name = basename(resolve(kernel))
      .replace(/^linux-image-/, '')
      .replace(/\.deb$/, '');
    return name.replaceAll(/[^\w.+~-]/g, '-') || 'kernel';
  });
  return names.map((name, index) => {
    const same = names.filter((other) => other === name).length;
    return same === 1 ? name : `${name}-${names.slice(0, index + 1).filter((other) => other === name).length}`;
  });
}

async function mustBeEmpty(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  const names = await readdir(dir).catch((error: unknown) => {
    throw new QmpilotError('IO', `${dir} cannot be read: ${errnoOf(error) ?? ''}`, { cause: error });
  });
  if (names.length === 0) return;
  throw new QmpilotError('USAGE', `the run directory ${dir} is not empty`, { hint: 'name a new directory: --out DIR' });
}

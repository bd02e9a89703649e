import { dirname, join, resolve } from 'node:path';
import { QmpilotError } from '../../errors.js';
import { renderHtml } from '../../report/html/page.js';
import type { RunEvent } from '../../run-files/attempt-record.js';
import { replaceFile } from '../../util/files/atomic-write.js';
import { loadAssets } from './load-assets.js';
import { readRuns } from './read-run.js';

/**
 * Writes one HTML file about the runs, the one before a fix first. Readers see the previous file until the new one is complete. Default: report.html in the run directory, for one run.
 * @returns where it is
 * @throws {USAGE} when a folder is not a run directory, or several are named without a file
 * @throws {NO_SPACE} {IO}
 */
export async function writeReport(dirs: readonly string[], file?: string): Promise<string> {
  const [first] = dirs;
  if (first === undefined)
    throw new QmpilotError('USAGE', 'missing run directory', { hint: 'name a folder that qmpilot repro wrote' });
  if (file === undefined && dirs.length > 1)
    throw new QmpilotError('USAGE', 'a report about several runs needs a file to be written to', {
      hint: 'name it by --out',
    });
  const path = resolve(file ?? join(first, 'report.html'));
  const page = renderHtml(await readRuns(dirs, { from: dirname(path) }), await loadAssets());
  await replaceFile(path, page, 'make room there, or name another place by --out');
  return path;
}

/**
 * Writes the report of the finished attempts at the end of a run. An error is reported as progress and does not fail the run:
 * everything in the report is in the run directory as well.
 */
export async function reportAtEnd(dir: string, onEvent: ((event: RunEvent) => void) | undefined): Promise<void> {
  try {
    const [run] = await readRuns([dir], { evidence: false });
    if (run !== undefined && run.attempts.length > 0) await writeReport([dir]);
  } catch (error) {
    onEvent?.({
      type: 'progress',
      message: `cannot write the report: ${error instanceof Error ? error.message : String(error)}`,
    });
  }
}

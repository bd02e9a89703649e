import { readRuns, renderMarkdown, renderText, reportData, reportJUnit, writeReport } from '@qmpilot/core';
import { type Command, Option } from 'commander';
import { EXIT } from '../exit-codes.js';
import { openInBrowser } from '../open-in-browser.js';
import { renderJson } from '../render/json.js';
import { visible } from '../render/visible.js';

interface ReportOptions {
  readonly out?: string;
  readonly open?: boolean;
  readonly markdown?: boolean;
  readonly json?: boolean;
  readonly junit?: boolean;
}

/** Where a report about several runs goes when nobody says. */
const COMPARISON = 'qmpilot-report.html';
const HELP = `
Shards of one run are put together; other runs are compared with the first one: name the run before the fix first.
A run that is still at work, or was cut off, can be reported on at any time.`;

export function registerReport(program: Command): void {
  program
    .command('report')
    .description('write the report of a run, or compare runs')
    .argument('<dir...>', 'run directories that qmpilot repro wrote')
    .option('--out <file>', `the HTML file (default: report.html in the run directory; for several, ${COMPARISON})`)
    .option('--open', 'open it in the browser')
    .addOption(
      new Option('--markdown', 'a text for a bug tracker on standard output, no file').conflicts([
        'json',
        'junit',
        'open',
        'out',
      ]),
    )
    .addOption(
      new Option('--json', 'the numbers as one JSON line on standard output, no file').conflicts([
        'junit',
        'open',
        'out',
      ]),
    )
    .addOption(
      new Option('--junit', "JUnit's XML on standard output, of one run or its shards, no file").conflicts([
        'open',
        'out',
      ]),
    )
    .addHelpText('after', HELP)
    .action(async (dirs: string[], options: ReportOptions) => {
      if (options.junit === true) {
        process.stdout.write(await reportJUnit(dirs));
        return;
      }
      if (options.json === true || options.markdown === true) {
        const runs = await readRuns(dirs, { evidence: false });
        process.stdout.write(
          options.json === true ? `${renderJson(reportData(runs), false)}\n` : renderMarkdown(...runs),
        );
        return;
      }
      const path = await writeReport(dirs, options.out ?? (dirs.length > 1 ? COMPARISON : undefined));
      process.stdout.write(renderText(await readRuns(dirs, { evidence: false })));
      process.stdout.write(`report: ${visible(path)}\n`);
      if (options.open === true && !(await openInBrowser(path))) {
        process.stderr.write(`qmpilot report: no program to open it with was found: open ${visible(path)} yourself\n`);
        process.exitCode = EXIT.cannotTell;
      }
    });
}

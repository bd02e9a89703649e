import { type Command, Option } from 'commander';
import { EXIT } from '../../exit-codes.js';
import { helpText } from '../../help.js';
import { renderJson } from '../../render/json.js';
import { visible } from '../../render/text/visible.js';

interface ReportOptions {
  readonly out?: string;
  readonly open?: boolean;
  readonly markdown?: boolean;
  readonly json?: boolean;
  readonly junit?: boolean;
}

/** Default file of a report about several runs. */
const COMPARISON = 'qmpilot-report.html';
const HELP = `
Shards of one run are merged. Other runs are compared with the first one, so name the run before the fix first.

A run that is in progress, or was killed, can be reported as well.`;

export function registerReport(program: Command): void {
  program
    .command('report')
    .description('write the HTML report of a run, or compare runs')
    .argument('<dir...>', 'run directories of qmpilot repro')
    .option('--out <file>', `the HTML file (default: report.html in the run directory; for several, ${COMPARISON})`)
    .option('--open', 'open it in the browser')
    .addOption(
      new Option('--markdown', 'print Markdown for a bug tracker; write no file').conflicts([
        'json',
        'junit',
        'open',
        'out',
      ]),
    )
    .addOption(
      new Option('--json', 'print the numbers as one JSON line; write no file').conflicts(['junit', 'open', 'out']),
    )
    .addOption(
      new Option('--junit', 'print JUnit XML of one run or its shards; write no file').conflicts(['open', 'out']),
    )
    .addHelpText('after', helpText(HELP))
    .action(async (dirs: string[], options: ReportOptions) => {
      const { readRuns, renderMarkdown, renderText, reportData, reportJUnit, writeReport } =
        await import('@qmpilot/core/report');
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
      const { wrapLines } = await import('../../render/text/wrap.js');
      const path = await writeReport(dirs, options.out ?? (dirs.length > 1 ? COMPARISON : undefined));
      process.stdout.write(
        wrapLines(renderText(await readRuns(dirs, { evidence: false })), process.stdout.columns || undefined),
      );
      process.stdout.write(`report: ${visible(path)}\n`);
      if (options.open === true) await open(path);
    });
}

async function open(path: string): Promise<void> {
  const { openInBrowser } = await import('../../open-in-browser.js');
  const { by, failure } = await openInBrowser(path);
  const browser = failure === undefined ? '' : `cannot start $BROWSER (${visible(failure)}); `;
  if (by === undefined) {
    process.stderr.write(
      `qmpilot: ${browser}found no program to open the report with; open ${visible(path)} yourself\n`,
    );
    process.exitCode = EXIT.cannotTell;
  } else if (browser !== '') process.stderr.write(`qmpilot: ${browser}opened the report with ${by} instead\n`);
}

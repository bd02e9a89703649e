import { randomUUID } from 'node:crypto';
import type { RunSummary } from '@qmpilot/core';
import { visible } from './visible.js';

/** https://docs.github.com/actions/reference/workflow-commands-for-github-actions: what has to be spelled out. */
function data(text: string): string {
  return visible(text).replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

const command = (name: string, title: string, message: string) =>
  `::${name} title=${property(title)}::${data(message)}\n`;

/** While guest text is shown, no line of it may be taken for a command of the workflow. */
export function guardedCommands(): { readonly begin: string; readonly end: string } {
  const token = randomUUID();
  return { begin: `::stop-commands::${token}\n`, end: `::${token}::\n` };
}

/** What GitHub Actions shows beside a run: an error for each failure, a warning for attempts that could not tell, a notice of the whole. */
export function githubAnnotations(name: string, summary: RunSummary): string {
  const { attempts, reproduced, clean, inconclusive, failures, interval } = summary;
  const range =
    interval === null ? '' : `, 95 % interval ${(interval[0] * 100).toFixed(1)} to ${(interval[1] * 100).toFixed(1)} %`;
  return [
    ...failures.map(({ title, attempts: seen }) =>
      command('error', `${name}: reproduced`, `${title} (in ${seen} of ${attempts} attempts)`),
    ),
    ...(inconclusive > 0
      ? [command('warning', `${name}: inconclusive`, `${inconclusive} of ${attempts} attempts could not tell`)]
      : []),
    command(
      'notice',
      `${name}: ${attempts} attempts`,
      `${reproduced} reproduced, ${clean} clean, ${inconclusive} inconclusive${range}; evidence in ${summary.dir}`,
    ),
  ].join('');
}

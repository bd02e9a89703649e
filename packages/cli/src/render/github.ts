import { randomUUID } from 'node:crypto';
import type { RunSummary } from '@qmpilot/core';
import { visible } from './text/visible.js';

/** https://docs.github.com/actions/reference/workflow-commands-for-github-actions: characters that need escaping. */
function data(text: string): string {
  return visible(text).replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

const command = (name: string, title: string, message: string) =>
  `::${name} title=${property(title)}::${data(message)}\n`;

/** Keeps lines of guest text from being taken for workflow commands. */
export function guardedCommands(): { readonly begin: string; readonly end: string } {
  const token = randomUUID();
  return { begin: `::stop-commands::${token}\n`, end: `::${token}::\n` };
}

const MAX_SYMPTOMS = 6;

/** Annotations for GitHub Actions: an error for each failure, a warning for inconclusive attempts, a notice for the run. */
export function githubAnnotations(name: string, summary: RunSummary): string {
  const { attempts, reproduced, clean, inconclusive, failures, interval } = summary;
  const range =
    interval === null ? '' : `, 95 % interval ${(interval[0] * 100).toFixed(1)} to ${(interval[1] * 100).toFixed(1)} %`;
  return [
    ...failures.map(({ title, attempts: seen, symptoms }) =>
      command(
        'error',
        `${name}: reproduced`,
        [
          `${title} (in ${seen} of ${attempts} attempts)`,
          ...symptoms.slice(0, MAX_SYMPTOMS).map((one) => one.title),
        ].join('; '),
      ),
    ),
    ...(inconclusive > 0
      ? [command('warning', `${name}: inconclusive`, `${inconclusive} of ${attempts} attempts were inconclusive`)]
      : []),
    command(
      'notice',
      `${name}: ${attempts} attempts`,
      `${reproduced} reproduced, ${clean} clean, ${inconclusive} inconclusive${range}; evidence in ${summary.dir}`,
    ),
  ].join('');
}

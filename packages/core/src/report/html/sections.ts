import type { AttemptRecord } from '../../run-files/attempt-record.js';
import { formatDuration } from '../../util/text/format.js';
import { safeLine } from '../../util/text/text-hygiene.js';
import type { RunInput } from '../analysis/input.js';
import { commandLine } from '../wording/command-line.js';
import { openCommand } from '../wording/dump.js';
import { counted, date } from '../wording/format.js';
import type { AnalyzedRun } from './answer.js';
import { survivalChart } from './charts.js';
import { html, type Html } from './html.js';

const LETTER = { reproduced: 'r', clean: 'c', inconclusive: 'i' } as const;

/** All attempts in order, one mark each: tall where it failed, low where it was clean. */
export function attemptsSection(runs: readonly AnalyzedRun[]): Html {
  return html`<section id="attempts"><h2>Attempts</h2>
${runs.map(
  ({ input, analysis }, run) => html`${runs.length > 1 && html`<h3><i class="key run${run}"></i>${input.label}</h3>`}
<div class="strip ${size(analysis.total)}" data-run="${run}" tabindex="0" role="group" aria-label="${analysis.total} attempts; arrow keys choose one">${input.attempts.map(mark)}</div>
<p class="legend"><span><i class="r"></i>${analysis.failures} failed</span><span><i class="c"></i>${analysis.clean} clean</span>${analysis.inconclusive > 0 && html`<span><i class="i"></i>${analysis.inconclusive} inconclusive</span>`}${note(input)}</p>`,
)}
</section>`;
}

function mark(attempt: AttemptRecord): Html {
  const { index, outcome, ms, timeToFailureMs } = attempt;
  const when = timeToFailureMs === undefined ? formatDuration(ms) : `after ${formatDuration(timeToFailureMs)}`;
  return html`<i class="${LETTER[outcome]}" title="${index}: ${outcome}, ${when}"></i>`;
}

const size = (count: number) => (count <= 40 ? 'large' : count <= 200 ? 'medium' : count <= 800 ? 'small' : 'tiny');

function note({ run, attempts }: RunInput): Html | undefined {
  const wanted = run.attempts;
  return wanted === undefined || attempts.length >= wanted
    ? undefined
    : html`<span>${attempts.length} of ${wanted} made</span>`;
}

/** Of each run: who is stuck, and who holds what they wait for, by the first attempt that has it; and where the dump is. */
export function explanationSection(runs: readonly AnalyzedRun[]): Html {
  const told = runs.flatMap(({ input: { attempts, label } }) => {
    const explained = attempts.find(({ explanation = [] }) => explanation.length > 0);
    const dumped = attempts.find(({ dump }) => dump !== undefined);
    return explained || dumped ? [{ label, explained, dumped }] : [];
  });
  if (told.length === 0) return html``;
  const title = told.some(({ explained }) => explained) ? 'Who waits for whom' : 'Memory of the guest';
  return html`<section id="explanation"><h2>${title}</h2>
${told.map(
  ({ label, explained, dumped }) => html`${runs.length > 1 && html`<h3>${label}</h3>`}
${explained && html`<p>Read from the guest’s memory in attempt ${explained.index}:</p><ul>${explained.explanation?.map((sentence) => html`<li>${safeLine(sentence)}</li>`)}</ul>`}
${dumped?.dump !== undefined && html`<p>The memory of attempt ${dumped.index} was dumped. To read it, run this in the run directory: <code>${safeLine(openCommand(dumped.dump))}</code></p>`}`,
)}
</section>`;
}

export function survivalSection(runs: readonly AnalyzedRun[]): Html {
  const told = runs.filter(({ analysis }) => analysis.attempts > 0);
  if (told.every(({ analysis }) => analysis.failures === 0)) return html``;
  const [first] = told;
  const median = first?.analysis.survival.median ?? null;
  return html`<section id="time"><h2>How long until it fails</h2>
${survivalChart(runs.map(({ input, analysis }) => ({ name: input.label, curve: analysis.survival })))}
<p class="note">Share of attempts that have not failed yet, by time since the restore (Kaplan–Meier, 95 % band). A tick is an attempt that ended clean: it had not failed by then.${told.length === 1 && (median === null ? ' Fewer than half fail within the time an attempt has.' : ` Half of all attempts have failed after ${formatDuration(median)}.`)}</p></section>`;
}

/** Renders the line under the title: start and end of the run, and why it stopped early. */
export function stateOf({ run, attempts, shards }: RunInput): string {
  const last = run.sessions.at(-1);
  const wanted = run.attempts;
  const missing = wanted !== undefined && attempts.length < wanted;
  const resumed = run.sessions.length > 1 ? `, resumed ${counted(run.sessions.length - 1, 'time')}` : '';
  const parts = shards
    ? `, ${shards.length} of ${shards[0]?.count ?? shards.length} shards`
    : run.shard
      ? `, shard ${run.shard.index} of ${run.shard.count}`
      : '';
  return `${END[last?.end ?? ''] ?? (missing ? 'not at its end' : 'finished')}${resumed}${parts}`;
}

const END: Readonly<Record<string, string>> = {
  finished: 'finished',
  stopped: 'stopped: enough was seen',
  interrupted: 'interrupted',
  failed: 'ended by an error',
};

export function environmentSection(runs: readonly AnalyzedRun[]): Html {
  const names = [...new Set(runs.flatMap(({ input }) => input.run.environment.map(({ name }) => name)))];
  const values = (name: string) =>
    runs.map(({ input }) => input.run.environment.find((fact) => fact.name === name)?.value ?? '');
  const several = runs.length > 1;
  return html`<section id="environment"><h2>Environment</h2>
<div class="scroll"><table class="environment">${several && html`<thead><tr><th></th>${runs.map(({ input }) => html`<th>${input.label}</th>`)}</tr></thead>`}<tbody>
${names.map((name) => html`<tr${several && new Set(values(name)).size > 1 && html` class="differs"`}><th>${name}</th>${values(name).map((value) => html`<td>${isDate(name) ? date(value) : value}</td>`)}</tr>`)}
</tbody></table></div>
${runs.map(({ input }) => input.run.commandLine.length > 0 && html`<details><summary>QEMU’s command line${several && html` of ${input.label}`}</summary><pre class="wrap">${commandLine(input.run.commandLine)}</pre></details>`)}
${runs.flatMap(({ input }) => input.notes).map((text) => html`<p class="note">${text}</p>`)}</section>`;
}

const isDate = (name: string) => name === 'Started' || name === 'Accelerator checked';

const SYSRQ = /^sysrq-\w+\.txt$/;

/** The kernel's dump of all blocked tasks, from the first attempt that has one. */
export function sysrqSection(runs: readonly AnalyzedRun[]): Html {
  for (const { input } of runs) {
    for (const [index, { files }] of input.evidence) {
      const dumps = files.filter(({ name }) => SYSRQ.test(name));
      if (dumps.length > 0)
        return html`<section id="sysrq"><h2>Blocked tasks</h2>${dumps.map(({ name, text }) => html`<details><summary>${name} of attempt ${index}</summary><pre>${text}</pre></details>`)}</section>`;
    }
  }
  return html``;
}

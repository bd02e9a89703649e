import type { Finding } from '../../detect/finding.js';
import { formatDuration } from '../../util/text/format.js';
import { safeText } from '../../util/text/text-hygiene.js';
import type { FailureGroup, FindingGroup } from '../analysis/failure-groups.js';
import { attemptList, ranges } from '../wording/format.js';
import type { AnalyzedRun } from './answer.js';
import { html, type Html } from './html.js';

interface MergedGroup {
  readonly group: FailureGroup;
  /** For each run, the attempts with this failure. */
  readonly seen: readonly (readonly number[])[];
}

const MAX_GROUPS = 200;
const MAX_SYMPTOMS = 24;

/** Renders the failures by signature, most frequent first; each opens to its findings, with their stacks and console lines. */
export function failuresSection(runs: readonly AnalyzedRun[]): Html {
  const groups = mergeGroups(runs);
  const reasons = runs.flatMap(({ analysis }) => analysis.reasons);
  if (groups.length === 0 && reasons.length === 0) return html``;
  const several = runs.length > 1;
  return html`<section id="failures"><h2>What failed</h2>
${groups.slice(0, MAX_GROUPS).map((merged) => failure(merged, runs, several))}
${groups.length > MAX_GROUPS && html`<p class="note">and ${groups.length - MAX_GROUPS} further signatures: see attempts.jsonl</p>`}
${reasons.map(({ reason, attempts }) => html`<div class="failure reason"><div class="summary"><span class="times">${attempts.length}×</span><span class="what"><b>inconclusive: ${reason}</b><span class="meta">${attemptList(attempts)}</span></span></div></div>`)}
</section>`;
}

function mergeGroups(runs: readonly AnalyzedRun[]): MergedGroup[] {
  const merged = new Map<string, { group: FailureGroup; seen: (readonly number[])[] }>();
  for (const [run, { analysis }] of runs.entries()) {
    for (const group of analysis.groups) {
      const known = merged.get(group.signature) ?? { group, seen: runs.map(() => []) };
      known.seen[run] = group.attempts;
      merged.set(group.signature, known);
    }
  }
  return [...merged.values()];
}

function failure({ group, seen }: MergedGroup, runs: readonly AnalyzedRun[], several: boolean): Html {
  const { title, kind, severity, medianAt, signature, explained, symptoms } = group;
  const own = runs.findIndex(({ analysis }) => analysis.groups.includes(group));
  const where = seen.map((attempts, run) =>
    several
      ? `${runs[run]?.input.label ?? ''}: ${attempts.length === 0 ? 'none' : ranges(attempts, 6)}`
      : attemptList(attempts),
  );
  const count = several ? seen.map((attempts) => attempts.length).join(' : ') : String(seen[0]?.length ?? 0);
  return html`<details class="failure ${severity}${several && html` several`}"><summary class="summary"><span class="times">${count}${!several && '×'}</span><span class="what"><b>${title}</b><span class="meta">${severity !== 'error' && html`<em>${severity}</em> · `}${kind}${medianAt !== null && ` · after ${formatDuration(medianAt)}`} · ${where.join(' · ')}</span></span></summary>
<div class="detail">${explained ? html`<p>The cause, as read from the guest's memory; these findings belong to it:</p>` : evidenceOf(group, own)}
${!explained && symptoms.length > 0 && html`<p>These findings belong to it:</p>`}
${symptoms.slice(0, MAX_SYMPTOMS).map((symptom) => symptomOf(symptom, group, own))}
${symptoms.length > MAX_SYMPTOMS && html`<p class="note">and ${symptoms.length - MAX_SYMPTOMS} more</p>`}
<p><span class="meta">signature <code>${signature}</code></span></p></div></details>`;
}

function symptomOf(symptom: FindingGroup, { attempts: all }: FailureGroup, run: number): Html {
  const { title, kind, medianAt, attempts } = symptom;
  const some = attempts.length < all.length && ` · in ${attempts.length} of ${all.length}`;
  return html`<details class="symptom"><summary><b>${title}</b> <span class="meta">${kind}${medianAt !== null && ` · after ${formatDuration(medianAt)}`}${some}</span></summary>
${evidenceOf(symptom, run)}</details>`;
}

function evidenceOf({ example, exampleAttempt }: FindingGroup, run: number): Html {
  return html`${example.task && html`<p>Task <code>${example.task.comm}</code>, pid ${example.task.tgid ?? example.task.pid}${example.task.tgid !== undefined && example.task.tgid !== example.task.pid && `, thread ${example.task.pid}`}${facts(example)}</p>`}
${example.stack && example.stack.length > 0 && html`<h3>Stack</h3><pre class="stack">${example.stack.map(({ raw, uncertain }) => html`<span${uncertain === true && html` class="uncertain"`}>${raw}</span>\n`)}</pre>`}
${example.evidence.length > 0 && html`<h3>Evidence</h3><pre>${example.evidence.map((line) => safeText(line).trimEnd()).join('\n')}</pre>`}
<p><button type="button" class="goto" data-run="${run}" data-attempt="${exampleAttempt}" data-at="${Math.round(example.at)}">Show it in attempt ${exampleAttempt}</button></p>`;
}

/** Details of particular kinds of findings. */
function facts(finding: Finding): string {
  const given: Readonly<Record<string, unknown>> = { ...finding };
  const texts = (['wchan', 'unit', 'description', 'cgroup', 'phase'] as const).flatMap((name) =>
    typeof given[name] === 'string' ? [`${name} ${given[name]}`] : [],
  );
  const stuck = typeof given['stuckMs'] === 'number' ? [`in D state for ${formatDuration(given['stuckMs'])}`] : [];
  return [...stuck, ...texts].map((text) => `, ${text}`).join('');
}

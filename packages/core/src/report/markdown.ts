import { KERNEL_LOG_KINDS } from '../detect/kernel-log/kernel-log-finding.js';
import { formatDuration, formatPercent } from '../util/text/format.js';
import { analyze, type RunAnalysis } from './analysis/analysis.js';
import { compareRuns } from './analysis/comparison.js';
import type { FailureGroup, FindingGroup } from './analysis/failure-groups.js';
import type { RunInput } from './analysis/input.js';
import { whenMarkdown } from './when/render-when.js';
import { cell, escaped, fence, span } from './wording/code.js';
import { commandLine } from './wording/command-line.js';
import { openCommand } from './wording/dump.js';
import { attemptList, counted, percentRange } from './wording/format.js';
import { comparisonHeadline, comparisonSentence, headline } from './wording/wording.js';

const MAX_LINES = 60;
const MAX_GROUPS = 12;

/**
 * Returns a text for a bug tracker in GitHub's Markdown: what happens, how often, how to reproduce it, and the environment. For
 * several runs, their comparison with the first one comes before the runs.
 */
export function renderMarkdown(...inputs: readonly RunInput[]): string {
  return [...comparison(inputs), ...inputs.map(renderOne)].join('\n');
}

function comparison(inputs: readonly RunInput[]): string[] {
  const runs = inputs.map((input) => ({ label: input.label, analysis: analyze(input) }));
  const comparisons = compareRuns(runs.map(({ analysis }) => analysis));
  if (comparisons.length === 0) return [];
  const rows = runs.map(({ label, analysis }, index) => {
    const { failures, attempts, interval } = analysis;
    const one = comparisons[index - 1];
    return `| ${cell(label)} | ${failures} of ${attempts} | ${interval === null ? '' : percentRange(interval).replace(' and ', ' to ')} | ${one === undefined ? 'compared with' : comparisonSentence(one)} |`;
  });
  return [
    `# ${comparisonHeadline(
      runs.map((run) => ({ ...run, label: 'the first' })),
      comparisons,
    )}\n\n| Run | Failed | 95 % interval | |\n|---|---|---|---|\n${rows.join('\n')}\n`,
  ];
}

function renderOne(input: RunInput): string {
  const analysis = analyze(input);
  const errors = analysis.groups.filter(({ severity }) => severity === 'error');
  const main = titleGroup(errors) ?? analysis.groups[0];
  const findings = errors.flatMap((group): FindingGroup[] =>
    group.explained ? [...group.symptoms] : [group, ...group.symptoms],
  );
  const log = findings.find((group) => ofKernel(group) && group.example.evidence.length > 0);
  const own = log ?? findings.find((group) => !HAS_OWN_SECTION.has(group.kind) && group.example.evidence.length > 0);
  const withStack = findings.find(({ example }) => (example.stack?.length ?? 0) > 0);
  return [
    `# ${main === undefined ? escaped(input.run.name) : span(main.title)}: ${headline(analysis).toLowerCase()}`,
    rate(analysis),
    section(
      'What happens',
      [
        ...errors
          .slice(0, MAX_GROUPS)
          .flatMap((group) => [
            `- ${failure(group, analysis)}`,
            ...group.symptoms.slice(0, MAX_GROUPS).map((symptom) => `  - ${failure(symptom, analysis)}`),
          ]),
        ...analysis.reasons.slice(0, MAX_GROUPS).map((reason) => `- ${inconclusive(reason, analysis)}`),
      ].join('\n'),
    ),
    section('How to reproduce', reproduction(input)),
    own &&
      section(
        own === log ? 'Kernel log' : 'Evidence',
        `${attemptOf(own)}\n\n${fence(readable(own.example.evidence).slice(0, MAX_LINES).join('\n'))}`,
      ),
    withStack &&
      withStack !== own &&
      section(
        'Stack',
        `${attemptOf(withStack)}\n\n${fence((withStack.example.stack ?? []).map(({ raw }) => raw).join('\n'))}`,
      ),
    section('Who waits for whom', explanation(input)),
    section('When it is decided', whenMarkdown(input.when ?? [])),
    section('Memory of the guest', memory(input)),
    section('Environment', environment(input)),
  ]
    .filter((part) => typeof part === 'string' && part !== '')
    .join('\n\n')
    .concat('\n');
}

/** Prefers the kernel's own title, which people search for, where it is about as frequent. */
function titleGroup(errors: readonly FailureGroup[]): FailureGroup | undefined {
  const [most] = errors;
  return errors.find((group) => ofKernel(group) && group.attempts.length * 2 >= (most?.attempts.length ?? 0)) ?? most;
}

const KERNEL_KINDS: ReadonlySet<string> = new Set(KERNEL_LOG_KINDS);
const ofKernel = ({ kind }: FindingGroup) => KERNEL_KINDS.has(kind);

/** Their stacks, or what the shutdown waited for, say more than the lines they were read from. */
const HAS_OWN_SECTION: ReadonlySet<string> = new Set(['d-state', 'poweroff-stall']);

/** Removes lines that a full-screen program drew on the same console. */
function readable(lines: readonly string[]): readonly string[] {
  // eslint-disable-next-line no-control-regex
  const plain = lines.filter((line) => /\[ *\d+\.\d+\]/.test(line) || !/\u001b\[[\d;]*[Hf]/.test(line));
  return plain.length > 0 ? plain : lines;
}

function rate(analysis: RunAnalysis): string {
  const { rate: value, interval, upperBound, medianTimeToFailure, timePerFailure, inconclusive } = analysis;
  if (value === null || interval === null) return 'No attempt has a verdict, so there is no rate.';
  const first =
    upperBound === null
      ? `Failure rate: **${formatPercent(value)}** (95 % interval: between ${percentRange(interval)}).`
      : `No failure was seen; at 95 % confidence the rate is below ${formatPercent(upperBound)}.`;
  return [
    first,
    ...(medianTimeToFailure === null
      ? []
      : [
          `Median time to failure: ${formatDuration(medianTimeToFailure)}${timePerFailure === null ? '' : `; one failure per ${formatDuration(timePerFailure)} of trying`}.`,
        ]),
    ...(inconclusive === 0
      ? []
      : [`${counted(inconclusive, 'further attempt was', 'further attempts were')} inconclusive and not counted.`]),
  ].join(' ');
}

function failure({ title, attempts, medianAt }: FindingGroup, { attempts: all }: RunAnalysis): string {
  return `${span(title)}: ${attempts.length} of ${all}${medianAt === null ? '' : `, after ${formatDuration(medianAt)} (median)`}`;
}

function inconclusive({ reason, attempts }: RunAnalysis['reasons'][number], { total }: RunAnalysis): string {
  return `inconclusive, ${span(reason)}: ${attempts.length} of ${total}`;
}

function reproduction({ run, attempts, shards }: RunInput): string {
  const { source, seed, name, shard } = run;
  const forks = run.sessions.findLast((session) => session.forks !== undefined)?.forks;
  const words = [
    'qmpilot',
    'repro',
    source?.file.split('/').at(-1) ?? `${name}.repro.ts`,
    // Of a run that was cut off as well: with the seed the same attempts are made, and those that failed are among them.
    '--attempts',
    String(run.attempts ?? attempts.length),
    // How many run in parallel changes the timing, and with it how often it fails.
    ...(forks === undefined ? [] : ['--forks', String(forks)]),
    ...(shard === undefined || shards !== undefined ? [] : ['--shard', `${shard.index}/${shard.count}`]),
    ...(run.until === undefined ? [] : ['--until', run.until]),
    ...(run.untilReproduced === undefined ? [] : ['--until-reproduced', String(run.untilReproduced)]),
    ...(seed === undefined ? [] : ['--seed', String(seed)]),
  ];
  const facts = [
    source !== undefined && source.sha256 !== '' && `The scenario's SHA-256 is ${span(source.sha256)}.`,
    run.guest !== undefined &&
      `The guest is ${span(run.guest)}${run.kernel === undefined ? '' : ` with kernel ${span(run.kernel)}`}.`,
  ];
  return [fence(words.map((word) => commandLine([word])).join(' ')), ...facts.filter((fact) => fact !== false)].join(
    '\n\n',
  );
}

/** That of the first attempt that has one. */
function explanation({ attempts }: RunInput): string {
  const explained = attempts.filter((attempt) => (attempt.explanation?.length ?? 0) > 0);
  const [first, ...others] = explained;
  if (first?.explanation === undefined) return '';
  const also =
    others.length === 0
      ? ''
      : `; ${attemptList(others.map(({ index }) => index))} ${others.length === 1 ? 'has' : 'have'} one as well`;
  return `Read from the guest's memory in attempt ${first.index}${also}:\n\n${fence(first.explanation.join('\n'))}`;
}

/** Where the dump of the run is. */
function memory({ attempts }: RunInput): string {
  const dumped = attempts.find(({ dump }) => dump !== undefined);
  return dumped?.dump === undefined
    ? ''
    : `That of attempt ${dumped.index} was dumped. To read it, run this in the run directory:\n\n${fence(openCommand(dumped.dump))}`;
}

function environment({ run }: RunInput): string {
  const facts = run.environment.map(({ name, value }) => `| ${escaped(name)} | ${cell(value)} |`);
  const table = facts.length === 0 ? '' : ['| | |', '|---|---|', ...facts].join('\n');
  const command =
    run.commandLine.length === 0
      ? ''
      : `<details><summary>QEMU's command line</summary>\n\n${fence(commandLine(run.commandLine))}\n\n</details>`;
  return [table, command].filter((part) => part !== '').join('\n\n');
}

const attemptOf = ({ exampleAttempt, attempts, example }: FindingGroup) =>
  `From attempt ${exampleAttempt}, ${formatDuration(example.at)} after the restore${attempts.length > 1 ? `; the same in ${attemptList(attempts.filter((index) => index !== exampleAttempt))}` : ''}:`;

function section(title: string, text: string): string {
  return text === '' ? '' : `## ${title}\n\n${text}`;
}

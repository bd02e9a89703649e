import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createJiti } from 'jiti';
import { Deployment } from 'kubernetes-models/apps/v1';
import { Job } from 'kubernetes-models/batch/v1';
import { PersistentVolumeClaim, Service } from 'kubernetes-models/v1';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { commandLines } from './docs/command-lines.js';
import { ROOT } from './docs/pages.js';
import { compile } from './docs/samples.js';
import { wrongWith } from './docs/wrong-with.js';

const RECIPES = join(ROOT, 'recipes');
const names = readdirSync(RECIPES, { recursive: true, encoding: 'utf8' }).toSorted();
const read = (name: string) => readFileSync(join(RECIPES, name), 'utf8');
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The documents of a YAML file; GitLab's `!reference` is read as a list. */
function documentsOf(name: string): readonly unknown[] {
  return parseAllDocuments(read(name), { customTags: [{ tag: '!reference', collection: 'seq' }] }).map((document) => {
    if (document.errors[0]) throw document.errors[0];
    return document.toJS();
  });
}

/** The shell scripts in a value of YAML: `run` of GitHub, `script` of GitLab, the last word of `sh -euc` of Kubernetes. */
function scriptsOf(value: unknown, key = ''): readonly string[] {
  if (Array.isArray(value)) {
    const lines = value.filter((line) => typeof line === 'string');
    if (/^(?:before_)?script$/.test(key)) return [lines.join('\n')];
    if (key === 'command') return lines.slice(-1);
    return value.flatMap((each) => scriptsOf(each));
  }
  if (key === 'run' && typeof value === 'string') return [value];
  return isRecord(value) ? Object.entries(value).flatMap(([name, each]) => scriptsOf(each, name)) : [];
}

/** What the variables of the scripts may stand for. */
const VARIABLES: readonly (readonly [pattern: RegExp, value: string])[] = [
  [/"\$(?:QMPILOT_)?ATTEMPTS"|"\$attempts"/g, '200'],
  [/"\$SHARD"/g, 'auto'],
  [/\$OPTIONS|"\$@"/g, '--seed 5'],
  [/\bexec (?=qmpilot)/g, ''],
];

const scripts = names.flatMap((name) => {
  if (/\.yml$|\.yaml$/.test(name))
    return documentsOf(name).flatMap((value) => scriptsOf(value).map((text) => ({ name, text })));
  return name.endsWith('.sbatch') ? [{ name, text: read(name) }] : [];
});
const commands = scripts.flatMap(({ name, text }) =>
  commandLines(VARIABLES.reduce((line, [pattern, value]) => line.replaceAll(pattern, value), text))
    .filter(({ words: [program] }) => program === 'qmpilot')
    .map(({ words }) => ({ name, words, line: words.join(' ') })),
);

describe('the recipes', () => {
  it.each(commands)('call qmpilot with arguments that it accepts: $name: $line', async ({ words }) => {
    expect(await wrongWith(words)).toBeUndefined();
  });

  it('run and merge the shards on each system', () => {
    const verbs = (folder: string) =>
      new Set(commands.filter(({ name }) => name.startsWith(folder)).map(({ words }) => words[1]));
    for (const folder of ['github', 'gitlab', 'kubernetes', 'slurm'])
      expect([folder, [...verbs(folder)]]).toEqual([folder, expect.arrayContaining(['repro', 'report'])]);
  });

  it('have scripts in which shellcheck finds nothing', () => {
    for (const { name, text } of scripts)
      expect(() =>
        execFileSync(
          'shellcheck',
          [`--shell=${name.startsWith('github') ? 'bash' : 'sh'}`, '--exclude=SC2148,SC2154', '-'],
          {
            input: text,
          },
        ),
      ).not.toThrow();
  });
});

// GitHub's own parser. It imports JSON in a way that Node.js refuses, and jiti does not.
const jiti = createJiti(import.meta.url);
const { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } =
  await jiti.import<typeof import('@actions/workflow-parser')>('@actions/workflow-parser');
const { parseAction } = await jiti.import<typeof import('@actions/workflow-parser/actions/action-parser')>(
  '@actions/workflow-parser/actions/action-parser',
);

describe('the recipe for GitHub Actions', () => {
  const trace = new NoOperationTraceWriter();

  /** What GitHub says of an action or a workflow. */
  async function errorsOf(name: string, content: string): Promise<readonly string[]> {
    const { context, value } = (name === 'action.yml' ? parseAction : parseWorkflow)({ name, content }, trace);
    if (name !== 'action.yml' && value) await convertWorkflowTemplate(context, value);
    return context.errors.getErrors().map(({ message }) => message);
  }

  it.each(['action.yml', 'workflow.yml'])('is valid: %s', async (name) => {
    expect(await errorsOf(name, read(`github/${name}`))).toEqual([]);
  });

  it.each([
    ['a key', 'action.yml', 'shell: bash', 'shel: bash'],
    ['a context', 'action.yml', 'strategy.job-index', 'strategi.job-index'],
    ['a key', 'workflow.yml', 'fail-fast', 'fail-slow'],
    ['a function', 'workflow.yml', 'cancelled()', 'canceled()'],
    ['a job', 'workflow.yml', 'needs: attempts', 'needs: attempt'],
  ])('is checked for %s that does not exist: %s', async (_, name, right, wrong) => {
    const content = read(`github/${name}`);
    expect(content).toContain(right);
    expect(await errorsOf(name, content.replace(right, wrong))).not.toEqual([]);
  });

  it('passes to the action the inputs that it has', () => {
    const [action] = documentsOf('github/action.yml') as [{ inputs: Readonly<Record<string, unknown>> }];
    const [workflow] = documentsOf('github/workflow.yml') as [
      { jobs: { attempts: { steps: readonly { uses?: string; with?: object }[] } } },
    ];
    const step = workflow.jobs.attempts.steps.find(({ uses }) => uses === './.github/actions/qmpilot');
    expect(Object.keys(action.inputs)).toEqual(expect.arrayContaining(Object.keys(step?.with ?? {})));
    expect(step?.with).toHaveProperty('scenario');
  });
});

describe('the recipe for GitLab', () => {
  // GitLab's schema is in no package that runs on Node.js 20: gitlab-ci-local 4.75 found the file valid by it.
  const KEYS = [
    'extends',
    'image',
    'stage',
    'parallel',
    'variables',
    'cache',
    'before_script',
    'script',
    'artifacts',
    'needs',
    'when',
  ];

  it('has jobs of known keys that refer to each other', () => {
    const [{ variables, ...jobs }] = documentsOf('gitlab/qmpilot.gitlab-ci.yml') as [
      Readonly<Record<string, Readonly<Record<string, unknown>>>>,
    ];
    expect(Object.keys(variables ?? {})).toEqual(['QMPILOT_SCENARIO', 'QMPILOT_ATTEMPTS', 'QMPILOT_VERSION']);
    for (const job of Object.values(jobs)) {
      expect(KEYS).toEqual(expect.arrayContaining(Object.keys(job)));
      const { extends: base } = job;
      if (base !== undefined) expect(Object.keys(jobs)).toContain(base);
    }
    expect(jobs['qmpilot report']?.['needs']).toEqual([{ job: 'qmpilot attempts', artifacts: true }]);
    expect(jobs['qmpilot attempts']?.['parallel']).toBe(4);
  });
});

describe('the recipe for Kubernetes', () => {
  const MODELS = {
    Deployment: { module: 'apps/v1', model: Deployment },
    Job: { module: 'batch/v1', model: Job },
    PersistentVolumeClaim: { module: 'v1', model: PersistentVolumeClaim },
    Service: { module: 'v1', model: Service },
  };
  const manifests = names
    .filter((name) => name.startsWith('kubernetes/') && name.endsWith('.yaml'))
    .flatMap((name) => documentsOf(name).map((value) => ({ name, value: value as { kind: keyof typeof MODELS } })));

  /** The schema accepts fields that do not exist; the types of the same package do not. */
  function typeErrors(values: readonly { readonly kind: keyof typeof MODELS }[]): readonly string[] {
    const modules = values.map(({ kind, ...rest }, at) => {
      const text = `import type { I${kind} } from 'kubernetes-models/${MODELS[kind].module}';
export const manifest: I${kind} = ${JSON.stringify({ kind, ...rest })};`;
      return [join(ROOT, 'tests', `manifest-${at}.ts`), text] as const;
    });
    return compile(new Map(modules)).map(({ message }) => message);
  }

  it.each(manifests)('is valid by the schema: $name: $value.kind', ({ value }) => {
    expect(() => new MODELS[value.kind].model(value as never).validate()).not.toThrow();
  });

  it('has no field that does not exist', { timeout: 120_000 }, () => {
    const values = manifests.map(({ value }) => value);
    const wrong = { apiVersion: 'batch/v1', kind: 'Job', spec: { completion: 4 } } as const;
    expect(typeErrors([...values, wrong])).toEqual([expect.stringContaining(`'"completion"' does not exist in type`)]);
  });

  it('gives qmpilot as many shards as the Job has completions', () => {
    const job = manifests.find(({ value }) => JSON.stringify(value).includes('--shards'))?.value;
    const shards = /--shards (\d+)/.exec(JSON.stringify(job))?.[1];
    expect(job).toMatchObject({ spec: { completionMode: 'Indexed', completions: Number(shards) } });
  });
});

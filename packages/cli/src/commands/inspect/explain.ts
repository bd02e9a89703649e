import { resolve } from 'node:path';
import { QmpilotError } from '@qmpilot/core';
import type { Explanation } from '@qmpilot/core/vm';
import type { Command } from 'commander';
import { duration } from '../../arguments.js';
import { call } from '../../daemon/client.js';
import { helpText } from '../../help.js';
import { interruptible } from '../../interrupt.js';
import { jsonLine } from '../../render/json.js';
import { visible } from '../../render/text/visible.js';

const HELP = `
Reads the memory of the VM, and pauses it for some tens of milliseconds. The guest need not answer. Its kernel has to be Linux 5.10 or later for x86-64, with type information (BTF).

  qmpilot explain web
  qmpilot explain web --stacks --min-wait 10s
  qmpilot explain --dump web.elf`;

interface ExplainCommandOptions {
  readonly dump?: string;
  readonly btf?: string;
  readonly minWait?: number;
  readonly stacks?: boolean;
  readonly json?: boolean;
}

export function registerExplain(program: Command): void {
  program
    .command('explain')
    .description('show which tasks of a VM are stuck, what they wait for, and which task holds it')
    .argument('[vm]', 'name of the VM')
    .option('--dump <file>', 'read this memory dump, written by qmpilot dump, instead of a VM')
    .option('--min-wait <time>', 'leave out tasks that have been blocked for less (default: 2s)', duration)
    .option('--btf <file>', 'type information of the kernel, where it has none in memory')
    .option('--stacks', 'print the kernel stacks of the stuck tasks and of those that hold their locks')
    .option('--json', 'print one JSON line')
    .addHelpText('after', helpText(HELP))
    .action(async (name: string | undefined, options: ExplainCommandOptions) => {
      const { stacks = false, json = false } = options;
      const explanation = await explain(name, options);
      process.stdout.write(json ? jsonLine('explanation', explanation) : renderExplanation(explanation, stacks));
    });
}

async function explain(
  name: string | undefined,
  { dump, minWait, btf: types }: ExplainCommandOptions,
): Promise<Explanation & { readonly vm?: string; readonly dump?: string }> {
  if ((name === undefined) === (dump === undefined)) {
    throw new QmpilotError(
      'USAGE',
      `explain: ${name === undefined ? 'neither a VM nor' : 'both a VM and'} a dump given`,
      {
        hint: 'give the name of a VM, or a dump by --dump',
      },
    );
  }
  const btf = types === undefined ? undefined : resolve(types);
  if (dump !== undefined) {
    const { explainDump } = await import('@qmpilot/core/vm');
    return { dump, ...explainDump(dump, { minWait, btf }) };
  }
  const vm = name ?? '';
  return { vm, ...(await interruptible('cancelling', (signal) => call(vm, 'explain', { minWait, btf }, { signal }))) };
}

function renderExplanation({ sentences, notes, stuck }: Explanation, withStacks: boolean): string {
  const holders = stuck
    .flatMap(({ waitsFor }) => waitsFor?.owners ?? [])
    .filter(({ task }) => !stuck.some((one) => one.task.pid === task?.pid));
  const shown = [...stuck, ...holders].filter(
    ({ task }, index, all) => task && all.findIndex((other) => other.task?.pid === task.pid) === index,
  );
  const stacks = shown.flatMap(({ task, stack }) => [
    '',
    `${task?.comm ?? ''} (${task?.pid ?? ''})`,
    ...stack.map(({ raw, uncertain }) => `    ${uncertain ? '? ' : ''}${raw}`),
  ]);
  const lines = [...sentences, ...notes.map((note) => `note: ${note}`), ...(withStacks ? stacks : [])];
  return `${lines.map(visible).join('\n')}\n`;
}

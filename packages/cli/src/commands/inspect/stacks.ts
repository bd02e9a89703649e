import type { ProcessStacks } from '@qmpilot/core';
import type { Command } from 'commander';
import { wholeNumber } from '../../arguments.js';
import { call } from '../../daemon/client.js';
import { interruptible } from '../../interrupt.js';
import { jsonLine } from '../../render/json.js';
import { visible } from '../../render/text/visible.js';

export function registerStacks(program: Command): void {
  program
    .command('stacks')
    .description('print the kernel and user stacks of all threads of a process in a VM')
    .argument('<vm>', 'name of the VM')
    .argument('<pid>', 'process id in the guest', wholeNumber)
    .option('--json', 'print one JSON line')
    .action(async (name: string, pid: number, { json = false }: { json?: boolean }) => {
      const stacks = await interruptible('cancelling', (signal) => call(name, 'stacks', { pid }, { signal }));
      process.stdout.write(json ? jsonLine('stacks', { vm: name, ...stacks }) : renderStacks(stacks));
    });
}

function renderStacks({ pid, comm, threads, userUnavailable }: ProcessStacks): string {
  const lines = [
    `process ${pid} (${comm})`,
    ...threads.flatMap((thread) => [
      `thread ${thread.tid} (${thread.comm}), state ${thread.state}`,
      ...thread.kernel.map((frame) => `    ${frame.function}`),
      ...(thread.user ?? []).map(
        (frame) => `    user: ${frame.function}${frame.file === undefined ? '' : ` at ${frame.file}:${frame.line}`}`,
      ),
    ]),
    ...(userUnavailable === undefined ? [] : [`no user stacks: ${userUnavailable}`]),
  ];
  return `${lines.map(visible).join('\n')}\n`;
}

import type { Command } from 'commander';
import { repeated, wholeNumber } from '../../arguments.js';
import { interruptible } from '../../interrupt.js';
import { jsonLine } from '../../render/json.js';
import { visible } from '../../render/text/visible.js';

interface BuildOptions {
  readonly config?: readonly string[];
  readonly out?: string;
  readonly jobs?: number;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

export function registerKernel(program: Command): void {
  const kernel = program.command('kernel').description('kernels that guests are booted with');

  kernel
    .command('build')
    .description('build the kernel of a source tree with the configuration that a guest needs')
    .argument('<tree>', 'unpacked sources of Linux, which are not changed')
    .option('--config <fragment>', 'file with further options, such as CONFIG_KASAN=y (repeatable)', repeated)
    .option('--out <dir>', 'build directory, outside of the tree (default: the tree with .qmpilot behind it)')
    .option('--jobs <n>', 'compilers at once (default: one for each CPU)', wholeNumber)
    .option('--quiet', 'print no progress')
    .option('--json', 'print the kernel as a JSON line')
    .action(async (tree: string, { quiet, json, ...options }: BuildOptions) => {
      const { buildKernel } = await import('@qmpilot/core/guests');
      const built = await interruptible('stopping the build', (signal) =>
        buildKernel(tree, options, {
          signal,
          onProgress: (message) => {
            if (quiet !== true) process.stderr.write(`${visible(message)}\n`);
          },
        }),
      );
      process.stdout.write(json === true ? jsonLine('kernel', { ...built }) : `${visible(built.out)}\n`);
    });
}

import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { posix } from 'node:path';
import { QmpilotError, type CopyReport } from '@qmpilot/core';
import type { Command } from 'commander';
import { duration } from '../../arguments.js';
import { call } from '../../daemon/client.js';
import { helpText } from '../../help.js';
import { interruptible } from '../../interrupt.js';
import { jsonLine } from '../../render/json.js';
import { visible } from '../../render/text/visible.js';

const HELP = `
One of the two paths is in a VM: NAME:/absolute/path. Directories are copied with everything in them. A destination that ends with a slash,
or is an existing directory of this host, gets the source under its own name.

  qmpilot cp ./site web:/srv/site
  qmpilot cp web:/var/log/nginx/ logs`;

export function registerCp(program: Command): void {
  program
    .command('cp')
    .description('copy a file or directory into or out of a VM')
    .argument('<source>', 'file or directory; VM:/PATH in a VM')
    .argument('<destination>', 'file or directory; VM:/PATH in a VM')
    .option('--timeout <time>', 'time limit of the copy', duration)
    .option('--json', 'print the number of files and bytes as a JSON line')
    .addHelpText('after', helpText(HELP))
    .action(async (source: string, destination: string, options: { timeout?: number; json?: boolean }) => {
      const { vm, verb, from, to } = await copyOf(source, destination);
      const report = await interruptible('cancelling the copy', (signal) =>
        call(vm, verb, { from, to, timeout: options.timeout }, { signal }),
      );
      if (options.json === true) process.stdout.write(jsonLine('copy', { vm, from, to, ...report }));
      else process.stderr.write(describe(report));
    });
}

interface Copy {
  readonly vm: string;
  readonly verb: 'copyIn' | 'copyOut';
  readonly from: string;
  readonly to: string;
}

/** @throws {USAGE} when not exactly one of the paths is in a VM */
export async function copyOf(source: string, destination: string): Promise<Copy> {
  const [remoteSource, remoteDestination] = [inVm(source), inVm(destination)];
  if (remoteSource && !remoteDestination) {
    const into = destination.endsWith('/') || (await isDirectory(destination));
    const to = into ? join(destination, posix.basename(remoteSource.path)) : destination;
    return { vm: remoteSource.vm, verb: 'copyOut', from: remoteSource.path, to: resolve(to) };
  }
  if (remoteDestination && !remoteSource) {
    const { vm, path } = remoteDestination;
    const to = path.endsWith('/') ? posix.join(path, basename(resolve(source))) : path;
    return { vm, verb: 'copyIn', from: resolve(source), to };
  }
  throw new QmpilotError('USAGE', 'cp: exactly one of the two paths must be in a VM', {
    hint: 'write it as NAME:/absolute/path, for example qmpilot cp ./site web:/srv/site',
  });
}

function inVm(text: string): { readonly vm: string; readonly path: string } | undefined {
  const [, vm, path] = /^([A-Za-z0-9][A-Za-z0-9._-]{0,62}):(\/.*)$/s.exec(text) ?? [];
  return vm === undefined || path === undefined ? undefined : { vm, path };
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

function describe({ files, bytes, skipped }: CopyReport): string {
  return [
    `copied ${files} ${files === 1 ? 'file' : 'files'}, ${bytes} bytes`,
    ...skipped.map(({ name, reason }) => `skipped ${visible(name)}: ${visible(reason)}`),
    '',
  ].join('\n');
}

import { resolve } from 'node:path';
import type { DebianImageOptions } from '@qmpilot/core/guests';
import { InvalidArgumentError, type Command } from 'commander';

/** What the options of a Debian image are on the command line. */
export interface ImageFlags {
  readonly suite?: string;
  readonly packages?: readonly string[];
  readonly setup?: string;
  readonly file?: Readonly<Record<string, string>>;
  readonly diskSize?: string;
}

/** Adds the options of a Debian image to a command. */
export function addImageOptions(command: Command): Command {
  return command
    .option('--suite <name>', 'debian: release to install: bookworm (the default), trixie, sid')
    .option('--packages <names>', 'debian: packages to install, separated by commas (repeatable)', packageNames)
    .option('--setup <script>', 'debian: script that runs once, as root, while the image is made')
    .option('--file <guest=host>', 'debian: copy a file or folder of the host to this path (repeatable)', guestFile)
    .option('--disk-size <size>', 'debian: size of the root file system: 8G (default: 2G)');
}

/** With absolute paths: the daemon has a working directory of its own. */
export function imageOptions({
  suite,
  packages,
  setup,
  file,
  diskSize,
}: ImageFlags): Omit<DebianImageOptions, 'defect'> {
  return {
    ...(suite !== undefined && { suite }),
    ...(packages !== undefined && { packages }),
    ...(setup !== undefined && { setup: resolve(setup) }),
    ...(file !== undefined && { files: file }),
    ...(diskSize !== undefined && { diskSize }),
  };
}

function packageNames(text: string, before: readonly string[] = []): string[] {
  return [...before, ...text.split(',').filter((name) => name !== '')];
}

function guestFile(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be of the form /path/in/guest=path.');
  return { ...before, [text.slice(0, at)]: resolve(text.slice(at + 1)) };
}

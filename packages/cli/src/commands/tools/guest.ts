import { QmpilotError } from '@qmpilot/core';
import type { Defect, GuestImage } from '@qmpilot/core/guests';
import { InvalidArgumentError, type Command } from 'commander';
import { wholeNumber } from '../../arguments.js';
import { addImageOptions, imageOptions, type ImageFlags } from '../../image-options.js';
import { interruptible } from '../../interrupt.js';
import type { TreeImage } from '../../render/image-tree.js';
import { jsonLine } from '../../render/json.js';
import { ageOf } from '../../render/text/durations.js';
import type { Column } from '../../render/text/table.js';
import { visible } from '../../render/text/visible.js';

interface JsonOption {
  readonly json?: boolean;
}

export function registerGuest(program: Command): void {
  const guest = program.command('guest').description('images that guests are booted from');

  const build = guest
    .command('build')
    .description('build an image, if it does not exist')
    .argument('<name>', 'debian', parseName)
    .option(
      '--defect <name>',
      'add a kernel module that gives the kernel a known bug: io-uring-unlocked-flush',
      parseDefect,
    )
    .option('--quiet', 'print no progress')
    .option('--json', 'print the image as a JSON line');
  addImageOptions(build);
  build.action(async (_name: string, options: JsonOption & ImageFlags & { defect?: Defect; quiet?: boolean }) => {
    const { buildDebianImage } = await import('@qmpilot/core/guests');
    const image = await interruptible('stopping the build', (signal) =>
      buildDebianImage(
        { defect: options.defect, ...imageOptions(options) },
        {
          signal,
          onProgress: (message) => {
            if (options.quiet !== true) process.stderr.write(`${visible(message)}\n`);
          },
        },
      ),
    );
    process.stdout.write(options.json === true ? imageLine(image) : `${image.key}\n`);
  });

  guest
    .command('prepare-rootfs')
    .description('put root shells for qmpilot into a root file system with systemd')
    .argument('<path>', 'folder, or raw image of an ext4 file system')
    .option('--json', 'print one JSON line for each file')
    .action(async (path: string, options: JsonOption) => {
      const { prepareRootfs } = await import('@qmpilot/core/guests');
      for (const { path: file, link, why } of await prepareRootfs(path)) {
        if (options.json === true) process.stdout.write(jsonLine('rootfs-file', { path: file, link, why }));
        else process.stdout.write(`${file}${link === undefined ? '' : ` -> ${link}`}\n    ${why}\n`);
      }
    });

  guest
    .command('ls')
    .description('list the images as a tree, most recently used first')
    .option('--json', 'print one JSON line for each')
    .action(async (options: JsonOption) => {
      const { listImages } = await import('@qmpilot/core/guests');
      const images = await listImages();
      if (options.json === true) for (const image of images) process.stdout.write(imageLine(image));
      else if (images.length === 0) process.stderr.write('no images; build one: qmpilot guest build debian\n');
      else {
        const { imageTree } = await import('../../render/image-tree.js');
        const { renderTable } = await import('../../render/text/table.js');
        process.stdout.write(renderTable(COLUMNS, imageTree(images), process.stdout.columns));
      }
    });

  guest
    .command('rm')
    .description('remove images')
    .argument('[key...]', 'keys, or unique beginnings of keys, as a narrow terminal shows them')
    .option('--all', 'remove all of them')
    .option('--unused [days]', 'remove images and kernels not used for so many days (default: 30)', wholeNumber)
    .action(async (keys: string[], options: { all?: boolean; unused?: number | true }) => {
      const { listImages, removeImages, removeUnusedImages } = await import('@qmpilot/core/guests');
      if (options.unused !== undefined) {
        if (keys.length > 0 || options.all === true)
          throw new QmpilotError('USAGE', 'guest rm: --unused cannot be combined with keys or --all');
        const days = options.unused === true ? UNUSED_DAYS : options.unused;
        for (const key of await removeUnusedImages(days)) process.stdout.write(`${key}\n`);
        return;
      }
      if (options.all !== true && keys.length === 0)
        throw new QmpilotError('USAGE', 'guest rm: no key given', {
          hint: 'name keys as qmpilot guest ls shows them, or use --all or --unused',
        });
      // A terminal too narrow for whole keys shows their beginnings.
      const named = keys.map((key) => key.replace(/…$/, ''));
      const chosen = options.all === true ? (await listImages()).map(({ key }) => key) : named;
      for (const key of await removeImages(chosen)) process.stdout.write(`${key}\n`);
    });
}

const UNUSED_DAYS = 30;

const COLUMNS: readonly Column<TreeImage>[] = [
  { title: 'KEY', value: ({ image }) => image.key, minWidth: 12 },
  { title: 'NAME', value: ({ image, depth }) => treeName(image, depth), minWidth: 8 },
  { title: 'KERNEL', value: ({ image }) => visible(image.manifest.kernelRelease), minWidth: 10, hide: 1 },
  { title: 'SIZE', value: ({ image }) => `${(image.bytes / 2 ** 20).toFixed(0)} MiB`, hide: 2 },
  { title: 'AGE', value: ({ image }) => ageOf(image.manifest.builtAt) },
];

function treeName({ manifest: { name, adds } }: GuestImage, depth: number): string {
  return visible(depth === 0 ? name : `${'  '.repeat(depth)}+ ${adds ?? name}`);
}

function imageLine({ key, dir, bytes, manifest: { name, parent, adds, kernelRelease, builtAt } }: GuestImage): string {
  return jsonLine('image', { key, name, parent, adds, kernelRelease, builtAt, bytes, dir });
}

function parseName(text: string): string {
  if (text === 'debian') return text;
  throw new InvalidArgumentError('Only debian can be built.');
}

function parseDefect(text: string): Defect {
  if (text === 'io-uring-unlocked-flush') return text;
  throw new InvalidArgumentError('Known: io-uring-unlocked-flush.');
}

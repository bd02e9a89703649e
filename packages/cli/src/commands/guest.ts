import { buildDebianImage, listImages, QmpilotError, removeImages, type Defect, type GuestImage } from '@qmpilot/core';
import { InvalidArgumentError, type Command } from 'commander';
import { interruptible } from '../interrupt.js';
import { renderJson } from '../render/json.js';
import { visible } from '../render/visible.js';

interface JsonOption {
  readonly json?: boolean;
}

export function registerGuest(program: Command): void {
  const guest = program.command('guest').description('the images that guests are booted from');

  guest
    .command('build')
    .description('build an image, unless it is there already')
    .argument('<name>', 'debian', parseName)
    .option(
      '--defect <name>',
      'with a kernel module that gives the kernel a known bug: io-uring-unlocked-flush',
      parseDefect,
    )
    .option('--json', 'the image as a JSON line')
    .action(async (_name: string, options: JsonOption & { defect?: Defect }) => {
      const image = await interruptible('ending the build', (signal) =>
        buildDebianImage(
          { defect: options.defect },
          { signal, onProgress: (message) => process.stderr.write(`${visible(message)}\n`) },
        ),
      );
      show(image, options);
    });

  guest
    .command('ls')
    .description('list the images, the last used first')
    .option('--json', 'one JSON line for each')
    .action(async (options: JsonOption) => {
      const images = await listImages();
      for (const image of images) show(image, options);
      if (images.length === 0 && options.json !== true)
        process.stderr.write('there are no images yet: qmpilot guest build debian\n');
    });

  guest
    .command('rm')
    .description('remove images')
    .argument('[key...]', 'keys, or how they begin')
    .option('--all', 'all of them')
    .action(async (keys: string[], options: { all?: boolean }) => {
      if (options.all !== true && keys.length === 0)
        throw new QmpilotError('USAGE', 'guest rm: which?', { hint: 'name keys as guest ls shows them, or say --all' });
      const chosen = options.all === true ? (await listImages()).map(({ key }) => key) : keys;
      for (const key of await removeImages(chosen)) process.stdout.write(`${key}\n`);
    });
}

function show(image: GuestImage, { json }: JsonOption): void {
  const { key, dir, bytes, manifest } = image;
  const { name, kernelRelease, builtAt } = manifest;
  process.stdout.write(
    json === true
      ? `${renderJson({ v: 1, type: 'image', key, name, kernelRelease, builtAt, bytes, dir }, false)}\n`
      : `${key}  ${name.padEnd(26)}  kernel ${kernelRelease}  ${(bytes / 2 ** 20).toFixed(0)} MiB  ${builtAt}\n`,
  );
}

function parseName(text: string): string {
  if (text === 'debian') return text;
  throw new InvalidArgumentError('debian is the only image that is built.');
}

function parseDefect(text: string): Defect {
  if (text === 'io-uring-unlocked-flush') return text;
  throw new InvalidArgumentError('known: io-uring-unlocked-flush.');
}

import { join } from 'node:path';
import { makeImage } from '../build/make-image.js';
import { setBackingFile } from '../build/qcow2.js';
import type { PrepareContext } from '../guest.js';
import { IMAGE_FILES, type GuestImage } from '../image-cache.js';
import { imageGuest } from './image-guest.js';
import { imageName, type DebianImageOptions } from './image-options.js';
import { describeLayer, type Layer } from './layers.js';
import type { SetupStep } from './setup-step.js';

/** Lists the packages, and removes the name server of QEMU's network, which other guests of the image may not have. */
const LAST_COMMAND = [
  `dpkg-query -W -f '\${Package} \${Version}\\n'`,
  `if [ "$(cat /etc/resolv.conf 2> /dev/null)" = 'nameserver 10.0.2.3' ]; then rm /etc/resolv.conf; fi`,
].join('\n');

/** Builds a layer of what a setup changes in a guest of the image `below`. The caller holds the lock of the layer. */
export async function buildStepLayer(
  layer: Layer,
  step: SetupStep,
  below: GuestImage,
  options: DebianImageOptions,
  context: PrepareContext,
  tell: (message: string) => void,
): Promise<void> {
  const { signal } = context;
  await makeImage({
    key: layer.key,
    context,
    tell,
    build: async ({ output }, say) => {
      say(`adding ${describeLayer(layer, options)} to the image ${imageName(options)}`);
      const disk = join(output, IMAGE_FILES.disk);
      const guest = { ...imageGuest(below, imageName(options)), network: 'user' } as const;
      const packages = await step.run({ guest, disk, lastCommand: LAST_COMMAND, onProgress: say, signal });
      await setBackingFile(disk, below, signal);
      return {
        name: imageName(options),
        parent: below.key,
        adds: describeLayer(layer, options),
        kernelRelease: below.manifest.kernelRelease,
        packages: packages.trim().split('\n'),
      };
    },
  });
}

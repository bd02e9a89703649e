import { QmpilotError } from '../../errors.js';
import type { PrepareContext } from '../guest.js';
import { findImage, withImageLock, type GuestImage } from '../image-cache.js';
import { buildBase } from './build-base.js';
import { buildLayer } from './build-layer.js';
import { buildSizeLayer } from './build-size-layer.js';
import { buildStepLayer } from './build-step-layer.js';
import type { DebianImageOptions } from './image-options.js';
import { describeLayer, planLayers, type Layer } from './layers.js';
import type { SetupStep } from './setup-step.js';

/**
 * The Debian image of these options: from the cache, or built, once, even if several callers need it at the same time. It is built in
 * layers, each of which holds what it adds to the one below: another `setup` does not install the packages again.
 * The base takes one to three minutes, 2.5 GiB while it works and about 0.4 GiB to stay.
 * @throws {GUEST_BUILD} also for a suite or package that the mirror does not have, and for a `setup` that fails, with its output
 * @throws {TOOL_MISSING} {NO_SPACE} {USAGE} {ABORTED}: nothing but an empty lock file is left behind then
 */
export async function buildDebianImage(
  options: DebianImageOptions = {},
  context: PrepareContext = {},
  /** @internal */
  step?: SetupStep,
): Promise<GuestImage> {
  const [base, ...layers] = await planLayers(options, step);
  const top = await findImage(layers.at(-1)?.key ?? base.key, context.cacheDir);
  if (top) return top;
  let image = await once(base, options, context, (tell) => buildBase(base.key, options, context, tell));
  for (const layer of layers) {
    const below = image;
    const { content } = layer;
    image = await once(layer, options, context, (tell) => {
      if (content.kind === 'size') return buildSizeLayer(layer.key, below, content.bytes, context, tell);
      if (content.kind === 'step') return buildStepLayer(layer, content.step, below, options, context, tell);
      return buildLayer(layer, below, options, context, tell);
    });
  }
  return image;
}

/** The image of a layer: from the cache, or by `build`, which one process at a time may run. */
async function once(
  layer: Layer,
  options: DebianImageOptions,
  context: PrepareContext,
  build: (tell: (message: string) => void) => Promise<void>,
): Promise<GuestImage> {
  const { key } = layer;
  const known = await findImage(key, context.cacheDir);
  if (known) return known;
  const tell = context.onProgress ?? (() => {});
  const name = describeLayer(layer, options);
  return withImageLock(
    key,
    context.cacheDir,
    context.signal,
    () => tell(`another process builds the same image (${name}): waiting for it`),
    async () => {
      const meanwhile = await findImage(key, context.cacheDir);
      if (meanwhile) return meanwhile;
      await build(tell);
      const image = await findImage(key, context.cacheDir);
      if (image) return image;
      throw new QmpilotError('GUEST_BUILD', `cannot find the built image ${name}`, {
        hint: 'was the cache cleared meanwhile?',
      });
    },
  );
}

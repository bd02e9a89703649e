import type { GuestImage } from '@qmpilot/core/guests';

export interface TreeImage {
  readonly image: GuestImage;
  /** How many images are below it. */
  readonly depth: number;
}

/** The images with each one after the one that it is built on, otherwise in their order. */
export function imageTree(images: readonly GuestImage[]): TreeImage[] {
  const above = (key: string | undefined, depth: number): TreeImage[] =>
    images
      .filter(({ manifest: { parent } }) => parent === key)
      .flatMap((image) => [{ image, depth }, ...above(image.key, depth + 1)]);
  return above(undefined, 0);
}

import type { GuestImage } from '@qmpilot/core/guests';
import { expect, it } from 'vitest';
import { imageTree } from './image-tree.js';

function image(key: string, parent?: string): GuestImage {
  const manifest = { v: 1, name: 'debian', kernelRelease: '6.1', builtAt: '', buildMs: 1, packages: [] } as const;
  const paths = { dir: '/', kernel: '/k', initrd: '/i', disk: '/d' };
  return { key, ...paths, bytes: 1, manifest: { ...manifest, ...(parent !== undefined && { parent }) } };
}

it('puts each image after the one that it is built on', () => {
  const images = [
    image('setup', 'packages'),
    image('other'),
    image('packages', 'base'),
    image('base'),
    image('size', 'base'),
  ];
  expect(imageTree(images).map(({ image: { key }, depth }) => `${depth} ${key}`)).toEqual([
    '0 other',
    '0 base',
    '1 packages',
    '2 setup',
    '1 size',
  ]);
});

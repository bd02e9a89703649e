import { expect, it } from 'vitest';
import { parseKernelPackages } from '../../guests/kernels/list-packages.js';
import { compareVersions } from './compare-versions.js';
import { checkPattern, kernelRange, type Kernels, selectKernels } from './open-kernels.js';

const PATTERN = 'linux-image-6.1.0-*-cloud-amd64';
const kernel = (abi: number, version: string) => ({ name: `linux-image-6.1.0-${abi}-cloud-amd64`, version });
const AVAILABLE = [
  kernel(50, '6.1.176-1'),
  kernel(9, '6.1.27-1'),
  kernel(49, '6.1.174-1'),
  { name: 'linux-image-6.1.0-50-amd64', version: '6.1.176-1' },
];
const kernels = (): Kernels => ({
  ...{ pattern: PATTERN, suite: 'bookworm', packages: selectKernels(PATTERN, 'bookworm', AVAILABLE) },
});

it('reads the kernels of apt-cache, without debug symbols and packages that only depend on a kernel', () => {
  const records = [
    'Package: linux-image-6.1.0-50-cloud-amd64\nVersion: 6.1.176-1\nDepends: kmod, linux-base (>= 4.3~)\nDescription: Linux\n long text',
    'Package: linux-image-6.1.0-50-cloud-amd64\nVersion: 6.1.176-1\nDepends: kmod',
    'Package: linux-image-6.1.0-50-cloud-amd64-dbg\nVersion: 6.1.176-1',
    'Package: linux-image-cloud-amd64\nVersion: 6.1.176-1\nDepends: linux-image-6.1.0-50-cloud-amd64 (= 6.1.176-1)',
    'Package: linux-image-$(id)\nVersion: 1',
  ];
  expect(parseKernelPackages(records.join('\n\n'))).toEqual([kernel(50, '6.1.176-1')]);
});

it('orders versions as dpkg --compare-versions does', () => {
  const ordered = [
    '1.0~rc1-1',
    '1.0',
    '1.0-1~deb12u1',
    '1.0-1',
    '1.0-1+b1',
    '1.0a-1',
    '1.0+a-1',
    '1.9-1',
    '1.10-1',
    '6.1.9-10',
    '6.1.27-1',
    '6.12.5-1~bpo12+1',
    '6.12.5-1',
    '1:0.1',
  ];
  for (const [index, one] of ordered.entries())
    for (const [place, other] of ordered.entries())
      expect(Math.sign(compareVersions(one, other)), `${one} ${other}`).toBe(Math.sign(index - place));
  expect(compareVersions('1.0-1', '1.00-1')).toBe(0);
});

it('selects the kernels of a pattern by age, with the version where a name is there several times', () => {
  expect(kernels().packages.map(({ id }) => id)).toEqual([9, 49, 50].map((abi) => kernel(abi, '').name));
  const twice = [kernel(49, '6.1.174-2'), ...AVAILABLE];
  expect(selectKernels(PATTERN, 'bookworm', twice)[1]).toEqual({
    ...{ id: 'linux-image-6.1.0-49-cloud-amd64=6.1.174-1', version: '6.1.174-1' },
  });
});

it.each([
  ['no match', 'linux-image-7.*', /no kernel of Debian bookworm matches linux-image-7\.\*/],
  ['one match', 'linux-image-6.1.0-9-*', /only one kernel of Debian bookworm matches .*: linux-image-6\.1\.0-9-cloud/],
  [
    'two flavours',
    'linux-image-6.1.0-50-*',
    /matches several kernels of version 6\.1\.176-1: linux-image-\S+, linux-image-/,
  ],
])('refuses a pattern with %s', (_, pattern, message) => {
  expect(() => selectKernels(pattern, 'bookworm', AVAILABLE)).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) }),
  );
});

it.each(['bash', 'linux-headers-*', '', 'linux-image-[0-9]', "linux-image-'; id"])(
  'refuses %j, which names no kernel',
  (pattern) => {
    expect(() => checkPattern(pattern)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  },
);

it('makes a history from the oldest kernel to the newest, or between those that are named', () => {
  const [first, second, third] = kernels().packages.map(({ id }) => id) as [string, string, string];
  expect(kernelRange(kernels())).toMatchObject({
    ...{ good: first, bad: third },
    commits: [
      { id: second, parents: [first] },
      { id: third, parents: [second] },
    ],
  });
  expect(kernelRange(kernels(), { good: '6.1.174-1' })).toMatchObject({
    ...{ good: second, bad: third, commits: [{ id: third, parents: [second] }] },
  });
});

it.each([
  [
    'swapped ends',
    { good: '6.1.176-1', bad: '6.1.27-1' },
    /good and bad are swapped: linux-image-6\.1\.0-9-\S+ is older than/,
  ],
  ['equal ends', { good: '6.1.176-1' }, /good and bad are the same kernel, linux-image-6\.1\.0-50-cloud-amd64/],
  ['another kernel', { bad: 'linux-image-6.12' }, /the bad end "linux-image-6\.12" is not among the kernels of /],
])('refuses %s', (_, ends, message) => {
  expect(() => kernelRange(kernels(), ends)).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringMatching(message) }),
  );
});

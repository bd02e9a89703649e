import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { debianGuest } from './debian.js';
import { DEFECTS, type Defect } from './image-options.js';
import { debianImageKey } from './layers.js';
import { lockedPackages } from './npm-packages.js';
import { guestFolder } from './recipe.js';

const UNKNOWN: Defect = JSON.parse('"no-such-defect"');

describe('the recipe of the Debian image', () => {
  it('gives the same key for the same options, in the form the cache knows', async () => {
    const key = await debianImageKey({});
    expect(key).toMatch(/^[0-9a-f]{32}$/);
    expect(await debianImageKey({ defect: undefined })).toBe(key);
  });

  it('gives an image with a defect a key of its own', async () => {
    expect(await debianImageKey({ defect: 'io-uring-unlocked-flush' })).not.toBe(await debianImageKey({}));
  });

  it.each(DEFECTS)('has the sources of the defect %s', (defect) => {
    expect(existsSync(join(guestFolder(), 'modules', defect, 'Makefile'))).toBe(true);
  });

  it('refuses a defect that is not known, and names those that are', async () => {
    expect(() => debianGuest({ defect: UNKNOWN })).toThrow(/no-such-defect/);
    await expect(debianImageKey({ defect: UNKNOWN })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/defect: expected .*io-uring-unlocked-flush.*, got "no-such-defect"$/),
    });
  });

  it('lets `npm ci` unpack at least 40 packages', async () => {
    const packages = await lockedPackages(join(guestFolder(), 'npm-project', 'package-lock.json'));
    expect(packages.length).toBeGreaterThanOrEqual(40);
    for (const { integrity } of packages) expect(integrity).toMatch(/^sha512-[A-Za-z0-9+/]{86}==$/);
  });
});

import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removeUnfinished } from './save.js';

/** Larger than any pid of Linux. */
const NOBODY = 99_999_999;

describe('what killed writers of snapshots left', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'keep-test-'));
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it('is removed when it is a folder of this user', async () => {
    const made = (name: string) => mkdirSync(join(dir, name));
    made(`.x.partial-${NOBODY}-abc`);
    made(`.x.partial-${process.pid}-abc`);
    made(`.others.partial-${NOBODY}-abc`);
    if (process.getuid?.() === 0) chownSync(join(dir, `.others.partial-${NOBODY}-abc`), 65_534, 65_534);
    mkdirSync(join(dir, 'elsewhere'));
    symlinkSync('elsewhere', join(dir, `.link.partial-${NOBODY}-abc`));
    writeFileSync(join(dir, `.file.partial-${NOBODY}-abc`), '');
    await removeUnfinished(dir);
    const others = process.getuid?.() === 0 ? [`.others.partial-${NOBODY}-abc`] : [];
    expect(readdirSync(dir).toSorted()).toEqual(
      [
        ...others,
        `.file.partial-${NOBODY}-abc`,
        `.link.partial-${NOBODY}-abc`,
        `.x.partial-${process.pid}-abc`,
        'elsewhere',
      ].toSorted(),
    );
  });
});

// A setup file: gives each test file folders of its own for what qmpilot makes, so that files can run at once and each sees its leftovers.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

const own = {
  TMPDIR: mkdtempSync(join(tmpdir(), 'qt-')),
  QMPILOT_RAM_DIR: mkdtempSync('/dev/shm/qt-'),
};
// As /tmp is: tests act as other users, too.
for (const path of Object.values(own)) chmodSync(path, 0o1777);
Object.assign(process.env, own);

afterAll(() => {
  for (const path of Object.values(own)) rmSync(path, { recursive: true, force: true });
});

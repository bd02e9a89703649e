import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPty, type Pty } from '@qmpilot/core/testing';
import { afterAll, beforeAll } from 'vitest';
import { Channel } from '../../../../packages/core/src/console/channel.js';
import { ConsoleShell } from '../../../../packages/core/src/shell/console-shell/console-shell.js';

/** A folder with `tree`, which the tests copy. */
export const work = mkdtempSync(join(tmpdir(), 'copy-test-'));

/** Opens the shell of a guest that is a bash on this host: what it sends is what counts. Returns it once the tests run. */
export function useHostGuest(): () => ConsoleShell {
  let pty: Pty;
  let shell: ConsoleShell;
  beforeAll(async () => {
    pty = openPty('bash --norc');
    const channel = new Channel('hvc0');
    channel.attach(pty.stream);
    shell = new ConsoleShell(channel);
    await shell.ready({ timeout: '10s' });
    mkdirSync(join(work, 'tree/sub dir'), { recursive: true });
    writeFileSync(join(work, "tree/sub dir/it's"), 'content\n', { mode: 0o640 });
    writeFileSync(join(work, 'tree/empty'), '');
    writeFileSync(
      join(work, 'tree/big'),
      Buffer.from(Array.from({ length: 9_000_000 }, (_, i) => (i * 7919 + (i >> 8)) & 255)),
      { mode: 0o755 },
    );
    symlinkSync('sub dir', join(work, 'tree/link'));
    utimesSync(join(work, 'tree/big'), 1_000_000_000, 1_000_000_000);
  });
  afterAll(() => {
    pty.close();
    rmSync(work, { recursive: true });
  });
  return () => shell;
}

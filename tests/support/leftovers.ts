import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Every process that a test starts has this in its environment: other runs on this host do not count. */
const MARK = `QMPILOT_TEST=${randomUUID()}`;
process.env['QMPILOT_TEST'] = MARK.slice(MARK.indexOf('=') + 1);

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

const isOurs = (pid: string) =>
  pid === String(process.pid) || textOf(`/proc/${pid}/environ`).split('\0').includes(MARK);

/** QEMUs of this test file, and folders of controllers in the folders that `own-folders.ts` gave it. */
export function leftovers(): string[] {
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const command = textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
      return /qemu-system-/.test(command) && isOurs(pid) ? [`${pid}: ${command.slice(0, 80)}`] : [];
    });
  const folders = [process.env['QMPILOT_RAM_DIR'] ?? '/dev/shm', tmpdir()].flatMap((parent) =>
    readdirSync(parent)
      .filter((name) => /^qmpilot-[A-Za-z0-9]{6}$/.test(name))
      .map((name) => join(parent, name)),
  );
  return [...processes, ...folders];
}

/** What is there now and was not `before`. */
export function leftoversSince(before: readonly string[]): string[] {
  return leftovers().filter((one) => !before.includes(one));
}

import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';

/** QEMUs and folders of ours on this host, of whatever controller. */
export function leftovers(): string[] {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return /qemu-system-/.test(command) && /qmpilot|hvc0/.test(command) ? [`${pid}: ${command.slice(0, 80)}`] : [];
    } catch {
      return [];
    }
  });
  const folders = ['/dev/shm', tmpdir()].flatMap((parent) => readdirSync(parent).filter((name) => /^qmpilot-[A-Za-z0-9]{6}$/.test(name)).map((name) => `${parent}/${name}`));
  return [...processes, ...folders];
}

/** What is there now and was not `before`: other runs on this host do not count. */
export function leftoversSince(before: readonly string[]): string[] {
  return leftovers().filter((one) => !before.includes(one));
}

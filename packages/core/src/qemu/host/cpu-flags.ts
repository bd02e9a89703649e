import { readFile } from 'node:fs/promises';

/** CPU features that the kernel of this host names; empty where it names none. */
export async function cpuFlags(): Promise<readonly string[]> {
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  return /^(?:flags|Features)\s*: (.*)$/m.exec(text)?.[1]?.split(' ').filter(Boolean) ?? [];
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { completeCommandLine } from './kernel-command-line.js';

const version = (major: number) => ({ version: { text: `${major}.2.0`, major, minor: 2, micro: 0 } });
let dir: string;
beforeAll(() => (dir = mkdtempSync(join(tmpdir(), 'qmpilot-kernel-'))));
afterAll(() => rmSync(dir, { recursive: true }));

function kernel(release: string): string {
  const bytes = Buffer.alloc(4096);
  bytes.write('HdrS', 0x202, 'latin1');
  bytes.writeUInt16LE(0x300, 0x20e);
  bytes.writeUInt16LE(1, 0x236);
  bytes.write(`${release} (builder@host) #1 SMP\0`, 0x500, 'latin1');
  const path = join(dir, `vmlinuz-${release}`);
  writeFileSync(path, bytes);
  return path;
}

it.each([
  ['6.5.0', 'tcg', 7, 'console=ttyS0', 'console=ttyS0 clearcpuid=cx16'],
  ['6.12.95+deb12-cloud-amd64', 'tcg', 7, '', 'clearcpuid=cx16'],
  ['7.0.0', 'tcg', 6, 'quiet', 'quiet clearcpuid=cx16'],
  ['6.4.16', 'tcg', 7, 'quiet', 'quiet'],
  ['6.12.95', 'tcg', 8, 'quiet', 'quiet'],
  ['6.12.95', 'kvm', 7, 'quiet', 'quiet'],
  ['6.12.95', 'tcg', 7, 'quiet clearcpuid=514', 'quiet clearcpuid=514'],
] as const)('Linux %s by %s of QEMU %i with "%s" gets "%s"', async (release, accelerator, major, given, append) => {
  const path = kernel(release);
  const completed = await completeCommandLine({ kernel: path, append: given }, accelerator, version(major));
  expect(completed).toEqual({ kernel: path, append });
});

it.each([
  ['tcg', 7, 'quiet norandmaps'],
  ['tcg', 8, 'quiet norandmaps'],
  ['tcg', 9, 'quiet'],
  ['kvm', 7, 'quiet'],
] as const)('a guest with fixed addresses by %s of QEMU %i gets "%s"', async (accelerator, major, append) => {
  const path = kernel('6.1.0');
  const given = { kernel: path, append: 'quiet', fixedAddresses: true };
  expect(await completeCommandLine(given, accelerator, version(major))).toEqual({ kernel: path, append });
});

it('leaves the command line of a kernel whose version it cannot read', async () => {
  const text = join(dir, 'vmlinux');
  writeFileSync(text, 'no kernel');
  for (const path of [text, join(dir, 'missing')]) {
    const given = { kernel: path, append: 'quiet' };
    expect(await completeCommandLine(given, 'tcg', version(7))).toEqual(given);
  }
});

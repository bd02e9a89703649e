import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { QmpClient } from '../../../qmp/client.js';
import { copyMemory, openProcessMemory } from './guest-memory.js';

/** A QEMU that has the guest's memory at this place, 1 MiB of it below the hole for devices, and saves memory by `save`. */
function qmpWith(place: string, save: (filename: string) => void = () => {}): QmpClient {
  const above = (Number.parseInt(place, 16) + 2 ** 20).toString(16);
  return {
    execute: async (_command: string, { 'command-line': line }: { 'command-line': string }) =>
      `Host virtual address for it (ram) is 0x${line.endsWith(' 0x0') ? place : above}`,
    executeUntyped: async (_command: string, { filename }: { filename: string }) => save(filename),
  } as unknown as QmpClient;
}

it('says that QEMU has ended when its memory has gone', async () => {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  try {
    await once(child, 'spawn');
    const { pid = 0 } = child;
    const [, place = ''] = /^([0-9a-f]+)-\S+ r.*\[stack\]$/m.exec(readFileSync(`/proc/${pid}/maps`, 'latin1')) ?? [];
    const machine = { qmp: qmpWith(place), process: { pid }, spec: { memoryMiB: 1 } };
    const memory = await openProcessMemory(machine, {});
    expect(memory?.read(0, 4096)).toHaveLength(4096);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(() => memory?.read(0, 4096)).toThrow(expect.objectContaining({ code: 'QEMU_EXITED' }));
    await memory?.close();
    expect(await openProcessMemory(machine, {})).toBeUndefined();
  } finally {
    child.kill('SIGKILL');
  }
});

it('reads both parts of a copy, and leaves no file open of one that fails', async () => {
  const files: string[] = [];
  const machine = (maximum: number) => {
    const qmp = qmpWith('7f0000000000', (filename) => {
      if (files.push(filename) > maximum) throw new Error('no space');
      writeFileSync(filename, Buffer.alloc(2 ** 20, files.length));
    });
    return { qmp, process: { pid: 1 }, spec: { memoryMiB: 2 } };
  };
  const copy = await copyMemory(machine(2), {});
  expect(copy.read(4096, 2)).toEqual(Buffer.from([1, 1]));
  expect(copy.read(2 ** 32 + 4096, 2)).toEqual(Buffer.from([2, 2]));
  expect(copy.read(2 ** 20 - 1, 2)).toBeUndefined();
  await copy.close();
  await expect(copyMemory(machine(3), {})).rejects.toMatchObject({
    code: 'IO',
    message: "cannot copy the guest's memory: no space",
  });
  expect(files).toHaveLength(4);
  expect(openFiles().filter((path) => path.includes('/memory-'))).toEqual([]);
});

/** The files that this process has open; of a file that was removed, its name with a remark. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return [];
    }
  });
}

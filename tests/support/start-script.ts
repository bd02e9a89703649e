import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, type Vm } from '@qmpilot/core';
import { afterAll } from 'vitest';
import { qemuBinary } from './qmp-harness.js';

/** A folder for the tests of this file, removed after them. */
export const dir = mkdtempSync(join(tmpdir(), 'qmpilot-script-test-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let count = 0;
/** Writes a start script of these lines, and returns its path. */
export function script(...lines: readonly string[]): string {
  const path = join(dir, `run-test${(count += 1)}-vm`);
  writeFileSync(path, `#!/bin/bash\nset -e\n${lines.join('\n')}\n`, { mode: 0o755 });
  return path;
}

export const QEMU = `exec ${qemuBinary()} -machine accel=tcg -m 64 -nographic`;
export const DRIVE =
  '-drive file="$(readlink -f "${NIX_DISK_IMAGE:-./nixos.qcow2}")",id=drive1,if=none,format=qcow2 -device virtio-blk-pci,drive=drive1,serial=root';

/** Boots until QEMU is there and paused, hands it to `look`, and ends it: these guests have no system. */
export async function started<T>(
  description: Parameters<typeof boot>[0],
  look: (vm: Vm) => T | Promise<T>,
): Promise<T> {
  const over = new AbortController();
  let result: { value: T } | undefined;
  let failure: unknown;
  const booting = boot(description, {
    signal: over.signal,
    onStart: (vm) => {
      void Promise.resolve()
        .then(() => look(vm))
        .then(
          (value) => (result = { value }),
          (error: unknown) => (failure = error),
        )
        .finally(() => over.abort());
    },
  });
  await booting.catch((error: unknown) => {
    if (!over.signal.aborted) throw error;
  });
  if (!result) throw failure;
  return result.value;
}

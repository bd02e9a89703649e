import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineScenario, direct } from '@qmpilot/core';
import { fill } from '../support/host-tools.js';

const {
  TINY_KERNEL: kernel = '',
  TINY_INITRD: initrd = '',
  TINY_DISK: disk = '',
  FAULT: fault = '',
  FAULT_AT: faultAt = '',
} = process.env;

type Attempt = NonNullable<Parameters<typeof defineScenario>[0]>['attempt'];

const FLOOD = fileURLToPath(new URL('flood.pl', import.meta.url));
/** Of QEMU's end of the serial console, by qemu/machine.ts. */
const CONSOLE_FD = 4;

/** Twice what the check wants to find. */
const FLOOD_BYTES = 16 << 20;

/** What goes wrong in one attempt of the run, by its own doing or its guest's. */
const MISDEEDS: Readonly<Record<string, Attempt>> = {
  'throws': () => Promise.reject(new Error('this scenario throws')),
  'never-returns': () => new Promise(() => {}),
  'uncaught': async () => {
    setTimeout(() => {
      throw new Error('caught by nobody');
    }, 20);
    await new Promise(() => {});
  },
  'unhandled': async () => {
    void Promise.reject(new Error('rejected, and handled by nobody'));
    await new Promise(() => {});
  },
  'floods': async (_vm, { note, attach }) => {
    for (let index = 0; index < 20_000; index += 1) note(`line ${index} ${'x'.repeat(100)}`);
    for (let index = 0; index < 20; index += 1) attach('same.txt', 'x'.repeat(20 << 20));
  },
  'out-of-heap': async () => {
    const kept: number[][] = [];
    for (;;) kept.push(Array.from({ length: 100_000 }, (_, index) => index * 1.5));
  },
  'out-of-memory': async () => {
    const kept: Buffer[] = [];
    for (;;) kept.push(Buffer.alloc(16 << 20, 1));
  },
  'panic': (vm, { signal }) => inGuest(vm, 'busybox mount -t proc proc /proc; echo c > /proc/sysrq-trigger', signal),
  'reboot-loop': (vm, { signal }) => inGuest(vm, 'busybox reboot -f', signal),
  'guest-flood': (vm, { signal }) =>
    inGuest(vm, 'busybox yes 0123456789012345678901234567890123456789012345678901234567890', signal),
  'virtio-flood': (vm, { signal }) => inGuest(vm, 'busybox dd if=/dev/zero of=/dev/hvc0 bs=65536', signal),
  // No guest under TCG prints more than some MB/s: this writes in its place, as fast as the console is read.
  'console-flood': async (vm, { signal }) => {
    const flood = spawn('perl', [FLOOD, String(vm.pid), String(CONSOLE_FD), '3600', String(FLOOD_BYTES)], {
      stdio: 'ignore',
      signal,
    });
    flood.on('error', () => {});
    await once(flood, 'close');
  },
  'fills-disk': (vm, { signal }) =>
    inGuest(vm, 'busybox dd if=/dev/zero of=/dev/vda bs=1048576 count=100 conv=fsync', signal),
};

type Prepare = NonNullable<Parameters<typeof defineScenario>[0]['prepare']>;

/** The same while the guest is prepared. None of them returns before its signal. */
const PREPARE_MISDEEDS: Readonly<Record<string, Prepare>> = {
  'fills-disk': (vm, { signal }) =>
    inGuest(vm, 'busybox dd if=/dev/zero of=/dev/vda bs=1048576 count=100 conv=fsync', signal),
  'fills-ram': (vm, { signal }) => {
    fill(process.env['QMPILOT_RAM_DIR'] ?? '');
    return inGuest(vm, 'busybox dd if=/dev/zero of=/dev/null bs=60M count=1', signal);
  },
  'fills-run-directory': (vm, { signal, note }) => {
    fill(join(process.env['QMPILOT_FAULT_RUN'] ?? '', 'out'));
    note(`there is no room for this: ${'x'.repeat(10_000)}`);
    return inGuest(vm, 'true', signal);
  },
};

async function inGuest(vm: Parameters<Attempt>[0], command: string, signal: AbortSignal): Promise<void> {
  await vm.console.type(`${command}\n`, { signal });
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
}

/** The failure hangs on the seed alone: whatever faults there are, an attempt that can tell tells the same. */
export default defineScenario({
  name: 'faults',
  guest: direct({
    name: 'tiny',
    kernel,
    initrd,
    append: 'console=ttyS0 quiet',
    cpus: 1,
    memoryMiB: 128,
    virtioConsoles: ['hvc0'],
    disks: [{ id: 'disk', file: disk, format: 'raw' }],
    login: { prompt: /tiny# $/ },
  }),
  boot: { qemuArguments: ['-boot', 'reboot-timeout=100'] },
  async prepare(vm, context) {
    const { signal } = context;
    await vm.console.type(
      'while read -r module; do busybox insmod /modules/$module; done < /modules/order; mark=$((6 * 7)); echo "mark is $mark"\n',
    );
    await vm.console.expect(/mark is 42/, { signal });
    if (faultAt === 'prepare') await PREPARE_MISDEEDS[fault]?.(vm, context);
  },
  async attempt(vm, context) {
    const { index, seed, signal, report } = context;
    const misdeed = String(index) === faultAt ? MISDEEDS[fault] : undefined;
    if (misdeed) return misdeed(vm, context);
    for (const part of [1, 2, 3]) {
      await vm.console.type(`echo "part ${part} $mark $((${seed} % 3))"\n`, { signal });
      const { groups } = await vm.console.expect(new RegExp(`part ${part} 42 (\\d)`), { signal, timeout: '30s' });
      if (part === 3 && groups[0] === '0')
        report({ kind: 'bug', severity: 'error', title: 'divisible', signature: 'divisible', at: 1, evidence: [] });
    }
  },
});

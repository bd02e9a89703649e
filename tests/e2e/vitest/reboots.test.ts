import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { direct } from '@qmpilot/core';
import { createVmTest } from '@qmpilot/core/vitest';
import { afterAll, expect } from 'vitest';
import { makeTinyGuest } from '../../support/tiny-guest.js';

const PROMPT = /tiny# $/;
const dir = mkdtempSync(join(tmpdir(), 'qmpilot-vitest-reboots-'));
const { kernel, initrd } = await makeTinyGuest(dir);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const test = createVmTest({
  guest: direct({ name: 'tiny', kernel, initrd, append: 'console=ttyS0 quiet', login: { prompt: PROMPT } }),
  reboots: true,
  fresh: true,
});

test('a guest of createVmTest({ reboots: true }) reboots, and comes up again', async ({ vm }) => {
  await vm.console.type('busybox touch /before\n');
  await vm.console.expect(PROMPT);
  await vm.console.type('busybox reboot -f\n');
  expect(await vm.poweroff({ via: 'none', wanted: 'reboot' })).toMatchObject({ end: 'rebooted' });
  await vm.console.expect(PROMPT, { timeout: '2m' });
  await vm.console.type('busybox ls / | busybox grep -c before\n');
  expect((await vm.console.expect(/^\d+\r?$/m)).text.trim()).toBe('0');
});

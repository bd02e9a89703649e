import { expect, it } from 'vitest';
import { briefProgress } from './boot-progress.js';
import { cliHint } from './cli-hint.js';

it.each([
  ["boot it with display: 'std'", 'boot it with --display std'],
  ["name it as tmux does: 'Enter'; type() sends text", "name it as tmux does: 'Enter'; qmpilot type sends text"],
  [
    "all consoles are busy: openShell({ via: 'guest-agent' }) runs commands beside them, in guests with qemu-ga",
    'all consoles are busy: wait for one of these commands, or end it',
  ],
  [
    "the guest needs a network: network: 'user' in its description",
    'the guest needs a network: boot it with --network user',
  ],
])('says a hint in words of the command line: %s', (hint, expected) => {
  expect(cliHint(hint)).toBe(expected);
});

it.each([
  ['QEMU 7.2.22, tcg: requested', 'QEMU 7.2.22 with TCG (requested)'],
  [
    'QEMU 7.2.22, tcg: KVM does not run this kernel:\nkvm_buf_set_msrs: Assertion',
    'QEMU 7.2.22 with TCG (KVM failed its check; see qmpilot doctor)',
  ],
  [
    "QEMU 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18), tcg: QEMU ended (SIGABRT) under KVM: kvm_buf_set_msrs: Assertion `ret' failed.",
    'QEMU 7.2.22 with TCG (KVM failed its check; see qmpilot doctor)',
  ],
  ['building the image\nmore', 'building the image'],
])('shows progress in one line: %j', (message, expected) => {
  expect(briefProgress(message)).toBe(expected);
});

it('shows the age of a snapshot of the boot cache, in a line that fits a terminal of 60 columns', () => {
  const savedAt = new Date(Date.now() - 3 * 3_600_000).toISOString();
  const line = briefProgress(`from the boot cache (saved ${savedAt}) in 12.3 s`);
  expect(line).toBe('from the boot cache (3 h old) in 12.3 s');
  expect(`done, ${line}`.length).toBeLessThan(60);
});

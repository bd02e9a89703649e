import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { describeBoot, formatBootProgress } from './boot-stage.js';

const says = (...lines: string[]) => formatBootProgress(describeBoot(lines));

describe('describeBoot', () => {
  it.each([
    [[], 'boot got stuck before anything was printed'],
    [
      ['SeaBIOS (version 1.16.2)', 'Booting from Hard Disk...', 'No bootable device.'],
      'boot got stuck at the firmware: "No bootable device."',
    ],
    [['SeaBIOS (version 1.16.2)', 'Booting from ROM..'], 'boot got stuck at the boot loader: "Booting from ROM.."'],
    [
      ['Welcome to GRUB!', 'error: no such device: root.'],
      'boot got stuck at the boot loader: "error: no such device: root."',
    ],
    [
      ['[    0.000000] Linux version 6.1.0', '[    0.400000] NET: Registered PF_INET'],
      'boot got stuck at the kernel, before it started its first program: "[    0.400000] NET: Registered PF_INET"',
    ],
    [
      [
        '[    1.000000] Run /init as init process',
        'Loading, please wait...',
        'Begin: Waiting for root file system ... ',
        'ALERT!  /dev/vdb1 does not exist.  Dropping to a shell!',
        '(initramfs) ',
      ],
      'boot got stuck at the initramfs, before the root file system was there: "(initramfs)"',
    ],
    [
      [
        '[    1.000000] Linux version 6.1.0',
        '[    3.000000] systemd[1]: Detected virtualization kvm.',
        '[  OK  ] Reached target Local File Systems.',
        '[  *** ] A start job is running for /dev/disk/by-uuid/1 (41s / 1min 30s)',
      ],
      'boot got stuck at the init system, before anybody could log in: "[  *** ] A start job is running for /dev/disk/by-uuid/1 (41s / 1min 30s)"',
    ],
    [
      ['[    3.000000] systemd[1]: x', 'You are in emergency mode. After logging in, type "journalctl -xb"'],
      'boot got stuck at the init system, before anybody could log in: "You are in emergency mode. After logging in, type "journalctl -xb""',
    ],
    [['Debian GNU/Linux 12 host ttyS0', 'host login: '], 'boot got stuck at the login prompt: "host login:"'],
  ])('%o', (lines, text) => {
    expect(says(...lines)).toBe(text);
  });

  it('takes what stood in the way of an earlier stage for overcome', () => {
    expect(describeBoot(['Boot failed: not a bootable disk', '[    0.000000] Linux version 6.1.0'])).toEqual({
      stage: 'kernel',
      last: expect.any(Array),
    });
  });

  it('follows a real boot up to the login', () => {
    const capture = readFileSync(
      fileURLToPath(new URL('../../../../../tests/fixtures/console/healthy.raw', import.meta.url)),
      'latin1',
    );
    // eslint-disable-next-line no-control-regex
    const lines = capture.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '').split(/[\r\n]+/);
    expect(describeBoot(lines.slice(0, 40)).stage).toBe('kernel');
    const init = lines.findIndex((line) => line.includes('systemd[1]: '));
    expect(describeBoot(lines.slice(0, init + 1)).stage).toBe('init');
    expect(describeBoot(lines).stage).toBe('login');
  });

  it('shows no control character', () => {
    expect(says('\u001b[31mBoot failed\u0007')).not.toMatch(/[\u0000-\u001f]/);
  });
});

import { expect, it } from 'vitest';
import { remedyFor } from './blockers.js';

it("names the module option that replaces the 9p shares of a stock NixOS VM, from QEMU's own words", () => {
  const reason =
    "Migration is disabled when VirtFS export path '/nix/store' is mounted in the guest using mount_tag 'nix-store'";
  expect(remedyFor([reason])).toMatch(/qmpilot\.snapshot\.enable = true.*useNixStoreImage/);
});

it('says something also for what it does not know', () => {
  expect(remedyFor(['State blocked by a teapot'])).toBe('leave out of the guest what QEMU names');
});

it('says how to save a guest that has a folder of the host mounted', () => {
  const reason =
    "Migration is disabled when VirtFS export path '/src' is mounted in the guest using mount_tag 'qmpilotshare0'";
  expect(remedyFor([reason])).toMatch(/unmount the shared folder in the guest/);
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { copyOf } from './cp.js';

it('tells the direction by which path is in a VM', async () => {
  expect(await copyOf('/a/site', 'web:/srv/site')).toEqual({
    vm: 'web',
    verb: 'copyIn',
    from: '/a/site',
    to: '/srv/site',
  });
  expect(await copyOf('web:/etc/hosts', '/a/hosts')).toEqual({
    vm: 'web',
    verb: 'copyOut',
    from: '/etc/hosts',
    to: '/a/hosts',
  });
});

it('keeps the name of the source when the destination is a directory', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'qmpilot-cp-'));
  try {
    expect(await copyOf('web:/etc/hosts', dir)).toMatchObject({ to: join(dir, 'hosts') });
  } finally {
    rmSync(dir, { recursive: true });
  }
  expect(await copyOf('/a/site', 'web:/srv/')).toMatchObject({ to: '/srv/site' });
});

it.each([
  ['/a', '/b'],
  ['web:/a', 'db:/b'],
  ['/a', 'web:relative'],
])('refuses %s to %s', async (source, destination) => {
  await expect(copyOf(source, destination)).rejects.toMatchObject({ code: 'USAGE' });
});

import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';
import { openSsh } from './index.js';

it('an SSH key is created for each VM, and its private part is neither in the guest nor on disk', async () => {
  const before = readdirSync(tmpdir());
  const scripts: string[] = [];
  const guest = (name: string) => ({
    name,
    qmp: {
      executeUntyped: <T>() =>
        Promise.resolve('  TCP[HOST_FORWARD]  12  127.0.0.1  40000  10.0.2.15  22022  0  0' as T),
    },
    exec: (script: string) => {
      scripts.push(script);
      return Promise.reject(new Error('enough was seen'));
    },
  });
  for (const name of ['one', 'two'])
    await expect(openSsh(guest(name), { timeout: 5000 })).rejects.toThrow('enough was seen');
  const keys = scripts.map((script) => /ssh-ed25519 (\S+) qmpilot-(\w+)/.exec(script)?.[1]);
  expect(new Set(keys).size).toBe(2);
  expect(scripts.join('')).not.toContain('PRIVATE KEY');
  expect(readdirSync(tmpdir()).filter((name) => /ssh|key/i.test(name) && !before.includes(name))).toEqual([]);
});

it('refuses unknown options by name', async () => {
  const vm = { name: 'a', qmp: { executeUntyped: () => expect.unreachable() }, exec: () => expect.unreachable() };
  await expect(openSsh(vm, { username: 'nobody' } as object)).rejects.toMatchObject({
    code: 'USAGE',
    message: 'openSsh: options.username: unknown option',
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as core from '@qmpilot/core';
import { expect, it } from 'vitest';
import { Console } from '../../../packages/core/src/console/console.js';
import { QmpClient } from '../../../packages/core/src/qmp/client.js';
import { Keyboard } from '../../../packages/core/src/vm/input/keyboard.js';
import { Vm } from '../../../packages/core/src/vm/vm.js';
import { nixosTableCalls } from '../../support/nixos-table.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const page = readFileSync(join(ROOT, 'docs/nixos-driver.md'), 'utf8');

const OWNERS: Readonly<Record<string, object>> = {
  'vm': Vm.prototype,
  'vm.console': Console.prototype,
  'vm.keyboard': Keyboard.prototype,
  'vm.qmp': QmpClient.prototype,
};

const calls = nixosTableCalls();

it.each(calls)('%s exists', (call) => {
  const dot = call.lastIndexOf('.');
  const [owner, name] = [call.slice(0, dot), call.slice(dot + 1)];
  expect(typeof Reflect.get(dot === -1 ? core : (OWNERS[owner] ?? {}), name)).toBe('function');
});

/** The tests that start a guest or a QEMU, and the examples, which they run. */
const tests = ['tests/e2e', 'tests/contract', 'examples'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.includes('node_modules'))
    .map((path) => readFileSync(join(ROOT, folder, path), 'utf8')),
);

it.each(calls)('%s is called by a test with a guest', (call) => {
  const use = new RegExp(`${call.includes('.') ? '\\.' : '\\b'}${call.slice(call.lastIndexOf('.') + 1)}\\(`);
  expect(tests.some((text) => use.test(text))).toBe(true);
});

it.each(['fails: true', 'closed: true', 'gone: true', "via: 'none'", "'set_link'", '/dev/vcs1', 'systemctl show'])(
  'a test with a guest uses %s, which the table names',
  (text) => {
    expect(page).toContain(text);
    expect(tests.some((test) => test.includes(text))).toBe(true);
  },
);

it('the table names many calls', () => {
  expect(calls.length).toBeGreaterThan(20);
});

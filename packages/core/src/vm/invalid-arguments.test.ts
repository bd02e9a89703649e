import { describe, expect, it } from 'vitest';
import { Channel } from '../console/channel.js';
import { Console } from '../console/console.js';
import { SnapshotStore } from '../snapshot/store.js';
import { checkCopy } from './copy/check-copy.js';
import type { ForkableFamily } from './family.js';
import { Keyboard } from './input/keyboard.js';
import { checkShellOptions } from './shells/shell-options.js';
import type { ForkedVm } from './snapshots/fork.js';
import { SnapshotPool } from './snapshots/pool.js';
import { VmWaits } from './wait/vm-waits.js';
import { Wait } from './wait/wait-namespace.js';

/** Values that the types refuse, as JavaScript may pass them. */
const any = (value: unknown): never => value as never;

const console = new Console(new Channel('ttyS0'));
const { screen } = console;
const keyboard = new Keyboard(
  () => {
    throw new Error('a key was sent');
  },
  () => {},
);
const waits = new VmWaits(() => Promise.reject(new Error('the wait began')));
const store = new SnapshotStore();
const pool = (options: object) =>
  new SnapshotPool<ForkedVm>(any({ snapshots: store } satisfies Partial<ForkableFamily<ForkedVm>>), 'x', options);
const PATTERN = 'expected a text or a regular expression';

describe('invalid arguments of a VM are refused by name, at once', () => {
  it.each<[string, () => unknown, string]>([
    [
      'console.type(undefined)',
      () => console.type(any(undefined)),
      'console.type: text: expected a text, got undefined',
    ],
    [
      'console.type(t, { secrt })',
      () => console.type('a', any({ secrt: true })),
      'console.type: options.secrt: unknown option',
    ],
    ['console.press(1)', () => console.press(any(1)), 'console.press: keys[0]: expected a string, got 1'],
    [
      "console.press('a', {})",
      () => console.press('a', any({})),
      'console.press: keys[1]: expected a string, got an object',
    ],
    ['console.send(text)', () => console.send(any('a')), 'console.send: bytes: expected bytes, got "a"'],
    [
      'console.resize(80, 24, {})',
      () => console.resize(80, 24, any({ time: 1 })),
      'console.resize: options.time: unknown option',
    ],
    [
      'console.resize(0, 24)',
      () => console.resize(0, 24),
      'resize: columns: expected a whole number from 2 to 1000, got 0',
    ],
    [
      'console.expect(undefined)',
      () => console.expect(any(undefined)),
      `console.expect: pattern: ${PATTERN}, got undefined`,
    ],
    ["console.expect('')", () => console.expect(''), `console.expect: pattern: ${PATTERN}, got ""`],
    [
      'console.expect(p, { timout })',
      () => console.expect('a', any({ timout: 1 })),
      'console.expect: options.timout: unknown option',
    ],
    [
      'console.expect(p, { from })',
      () => console.expect('a', any({ from: '1' })),
      'console.expect: options.from: expected a position, got "1"',
    ],
    ['screen.waitFor(12)', () => screen.waitFor(any(12)), `screen.waitFor: pattern: ${PATTERN}, got 12`],
    [
      'screen.waitFor(p, { pane })',
      () => screen.waitFor('a', any({ pane: 'left' })),
      'screen.waitFor: options.pane: expected the index of a pane, \'active\' or { title }, got "left"',
    ],
    [
      'screen.waitFor(p, { region })',
      () => screen.waitFor('a', any({ region: { row: 0 } })),
      'screen.waitFor: options.region.column: required',
    ],
    [
      'screen.settle({ quiet })',
      () => screen.settle(any({ quiet: 'long' })),
      'screen.settle: options.quiet: expected a duration',
    ],
    [
      'screen.waitUntil(f)',
      () =>
        screen.waitUntil(
          any(() => 1),
          any(undefined),
        ),
      'screen.waitUntil: awaited: expected a text',
    ],

    [
      'keyboard.type(undefined)',
      () => keyboard.type(any(undefined)),
      'keyboard.type: text: expected a text, got undefined',
    ],
    [
      'keyboard.type(t, { layout })',
      () => keyboard.type('a', any({ layout: 'dvorak' })),
      'keyboard.type: options.layout: expected "us" or "gb" or "de" or "fr", got "dvorak"',
    ],
    [
      'keyboard.type(t, { delay })',
      () => keyboard.type('a', { delay: 'slow' }),
      'keyboard.type: options.delay: expected a duration',
    ],
    [
      'keyboard.press()',
      () => keyboard.press(any(undefined)),
      'keyboard.press: keys[0]: expected a string, got undefined',
    ],
    [
      'keyboard.press(k, { delai })',
      () => keyboard.press('a', any({ delai: 1 })),
      'keyboard.press: options.delai: unknown option',
    ],
    [
      'keyboard.press(k, {}, k)',
      () => keyboard.press('a', {}, 'b'),
      'keyboard.press: keys[1]: expected a string, got an object',
    ],

    [
      'openShell({ via })',
      () => checkShellOptions('openShell', { via: 'ssh' }),
      'openShell: options.via: expected "console" or "guest-agent" or "serial", got "ssh"',
    ],
    [
      'openShell({ name })',
      () => checkShellOptions('openShell', { name: 'x' }),
      'openShell: options.name: unknown option',
    ],

    [
      'waitFor({})',
      () => waits.forCondition(any({}), {}),
      'waitFor: wait: expected a wait, such as Wait.forUnit(name), got an object',
    ],
    [
      'waitFor(w, { interval })',
      () => waits.forCondition(Wait.forFile('/x'), { interval: 'often' }),
      'waitFor: options.interval: expected a duration',
    ],
    [
      'waitForUnit(undefined)',
      () => waits.forUnit(any(undefined), {}),
      'waitForUnit: name: expected a string, got undefined',
    ],
    ["waitForUnit('-x')", () => waits.forUnit('-x', {}), 'waitForUnit: name: expected the name of a unit, got "-x"'],
    [
      'waitForUnit(n, { state })',
      () => waits.forUnit('a', any({ state: 'up' })),
      'waitForUnit: options.state: expected "active" or "inactive" or "failed", got "up"',
    ],
    [
      'waitForUnit(n, { timout })',
      () => waits.forUnit('a', any({ timout: 1 })),
      'waitForUnit: options.timout: unknown option',
    ],
    [
      'Wait.forUnit(n, { timeout })',
      () => Wait.forUnit('a', any({ timeout: 1 })),
      'waitForUnit: options.timeout: unknown option',
    ],
    ['waitForPort(0)', () => waits.forPort(0, {}), 'waitForPort: port: expected a whole number from 1 to 65535, got 0'],
    [
      "waitForPort('80')",
      () => waits.forPort(any('80'), {}),
      'waitForPort: port: expected a whole number from 1 to 65535, got "80"',
    ],
    [
      'waitForPort(p, { host })',
      () => waits.forPort(80, { host: 'a;reboot' }),
      'waitForPort: options.host: expected a host name or address, got "a;reboot"',
    ],
    ["waitForFile('')", () => waits.forFile('', {}), 'waitForFile: path: expected a path, got ""'],
    [
      'waitForFile(p, { closed })',
      () => waits.forFile('/x', any({ closed: true })),
      'waitForFile: options.closed: unknown option',
    ],
    [
      'waitForSocket(undefined)',
      () => waits.forSocket(any(undefined), {}),
      'waitForSocket: path: expected a path, got undefined',
    ],
    [
      'waitForText(undefined)',
      () => waits.forText(any(undefined), {}),
      `waitForText: pattern: ${PATTERN}, got undefined`,
    ],
    [
      'waitForText(p, { on })',
      () => waits.forText('a', any({ on: 'wall' })),
      'waitForText: options.on: expected "console" or "screen", got "wall"',
    ],
    ['waitForCommand(12)', () => waits.forCommand(any(12), {}), 'waitForCommand: command: expected a command as text'],
    [
      'waitForCommand(c, { exitCode })',
      () => waits.forCommand('a', any({ exitCode: 0 })),
      'waitForCommand: options.exitCode: unknown option',
    ],
    ["until('x')", () => waits.until(any('x'), {}), 'until: probe: expected a function, got "x"'],
    ['until(f, text)', () => waits.until(() => true, any('text')), 'until: options: expected an object, got "text"'],
    ['Wait.any()', () => Wait.any(), 'any: waits: expected one wait or more'],
    [
      'Wait.all(path)',
      () => Wait.all(any('/x')),
      'all: waits[0]: expected a wait, such as Wait.forUnit(name), got "/x"',
    ],

    [
      'copyIn(undefined, path)',
      () => checkCopy('copyIn', undefined, '/x', {}),
      'copyIn: from: expected a path, got undefined',
    ],
    ['copyOut(path, 1)', () => checkCopy('copyOut', '/x', 1, {}), 'copyOut: to: expected a path, got 1'],
    [
      'copyIn(path, path, { maxBytes })',
      () => checkCopy('copyIn', 'x', '/x', { maxBytes: 1 }),
      'copyIn: options.maxBytes: unknown option',
    ],

    ['pool({ size: 0 })', () => pool({ size: 0 }), 'pool: options.size: expected a whole number of 1 or more, got 0'],
    ['pool({ count })', () => pool({ count: 3 }), 'pool: options.count: unknown option'],
    ['removeSnapshot(undefined)', () => store.remove(any(undefined)), 'invalid snapshot name undefined'],
  ])('%s', async (_name, call, message) => {
    await expect((async () => call())()).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(message),
    });
  });
});

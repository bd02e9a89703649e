import { expect, it } from 'vitest';
import { commandsLog } from './commands-log.js';

it('shows commands with exit code and output, without terminal sequences', () => {
  const events = [
    { at: 1000, type: 'exec', command: 'true', exitCode: 0, ms: 100 },
    { at: 1200, type: 'poweroff', phase: 'requested' },
    { at: 2500, type: 'exec', command: 'make', exitCode: 2, ms: 1000, output: '\u001b[31merror\u001b[0m\u0007\n' },
  ] as const;
  expect(commandsLog(events).split('\n')).toEqual([
    '$ true',
    expect.stringMatching(/^# ended at 1(\.0)? s with exit code 0 after 100 ms$/),
    '',
    '$ make',
    expect.stringMatching(/^# ended at 2\.5 s with exit code 2 after 1(\.0)? s$/),
    'error\\x07',
    '',
  ]);
});

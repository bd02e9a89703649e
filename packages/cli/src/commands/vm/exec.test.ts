import { expect, it } from 'vitest';
import { createProgram } from '../../program.js';
import { collector } from './exec.js';

it('keeps both outputs for one JSON line, and ends a command that writes without end', () => {
  const output = collector(10);
  void output.take('stdout', Buffer.from('12345'));
  void output.take('stderr', Buffer.from('67890'));
  expect(output.texts()).toEqual({ stdout: '12345', stderr: '67890' });
  expect(() => output.take('stdout', Buffer.from('1'))).toThrow(
    expect.objectContaining({ code: 'OUTPUT_LIMIT', message: expect.stringContaining('more than 10 bytes') }),
  );
});

it.each([
  [['--timeout', '1s', '--', 'ls', '/a b'], "put options before the name: qmpilot exec --timeout 1s web -- ls '/a b'"],
  [
    ['--timeout', '1s', 'ls'],
    'put options first: qmpilot exec --timeout ... web COMMAND; or put -- before the command',
  ],
])('refuses options after the name, and says where they go: %j', async (words, hint) => {
  await expect(createProgram('1').parseAsync(['exec', 'web', ...words], { from: 'user' })).rejects.toMatchObject({
    code: 'USAGE',
    hint,
  });
});

import { expect, it } from 'vitest';
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

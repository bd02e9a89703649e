import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { ProcessMarks } from './process-marks.js';

it.each([1, 3, 7, 1000])('gives what a process printed between its marks, in pieces of %d bytes', (size) => {
  const marks = new ProcessMarks();
  const script = `echo before; ${marks.printBegin}; printf 'a\\001E\\001b'; code=130; ${marks.printEnd}; echo behind`;
  const output = execFileSync('sh', ['-c', script]);
  let text = '';
  for (let at = 0; at < output.length; at += size) {
    text += marks.push(output.subarray(at, at + size)).toString();
  }
  expect(new ProcessMarks().exitCode).toBeUndefined();
  expect(text).toBe('a\u0001E\u0001b');
  expect([marks.hasBegun, marks.exitCode]).toEqual([true, 130]);
});

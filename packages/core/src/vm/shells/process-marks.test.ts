import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { ACKNOWLEDGE, ProcessMarks } from './process-marks.js';

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

it('gives the exit code of the mark that came whole, after one whose end was lost', () => {
  const marks = new ProcessMarks();
  const begin = execFileSync('sh', ['-c', marks.printBegin]);
  const end = execFileSync('sh', ['-c', `code=130; ${marks.printEnd}`]);
  expect(marks.push(Buffer.concat([begin, Buffer.from('out'), end.subarray(0, -2)])).toString()).toBe('out');
  expect(marks.exitCode).toBeUndefined();
  expect(marks.push(end).toString()).toBe('');
  expect(marks.exitCode).toBe(130);
});

it('prints the end again until it is acknowledged', () => {
  const marks = new ProcessMarks();
  const repeats = (input: string) =>
    execFileSync('bash', ['-c', `code=7; ${marks.repeatEnd}`], { input: `typed ahead\n${input}` }).length;
  expect(repeats(ACKNOWLEDGE)).toBe(0);
  const output = execFileSync('bash', ['-c', `sleep 1.5 | { code=7; ${marks.repeatEnd}; }`]);
  marks.push(execFileSync('sh', ['-c', marks.printBegin]));
  marks.push(output);
  expect(marks.exitCode).toBe(7);
});

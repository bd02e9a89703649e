import { expect, it } from 'vitest';
import { AbortedError, QmpilotError } from '../errors.js';
import { direct } from '../guests/direct.js';
import { describeStartFailure } from './start-failure.js';

const options = { guest: direct({ name: 'router', kernel: '/boot/vmlinuz' }) };
const { signal } = new AbortController();

it('tells in one text what failed, what to do, and what the console and QEMU said, without control characters', () => {
  const cause = new QmpilotError('SHELL_LOST', 'the kernel panicked', {
    hint: 'look for its root disk',
    evidence: { console: ['\u001b[31mVFS: no root', 'panic'], stderr: ['qemu: no disk'] },
  });
  const { code, message } = describeStartFailure(cause, options, { signal });
  expect(code).toBe('SHELL_LOST');
  expect(message).toBe(
    [
      'the guest router did not start, so no test of it was run: the kernel panicked',
      'hint: look for its root disk',
      '  qemu: no disk',
      'its console, at the end:',
      '  VFS: no root',
      '  panic',
    ].join('\n'),
  );
});

it('says that it was the preparation that failed, keeps its error, and shows the console', () => {
  const cause = new TypeError('x is not a function');
  const error = describeStartFailure(cause, options, { signal, prepared: true, console: ['login:'] });
  expect(error).toMatchObject({ code: 'SCENARIO', cause });
  expect(error.message).toBe(
    'the guest router is up, but was not made ready for the tests: x is not a function\nits console, at the end:\n  login:',
  );
});

it('names the limit that was reached', async () => {
  const limit = AbortSignal.timeout(1);
  await new Promise((resolve) => limit.addEventListener('abort', resolve));
  const error = describeStartFailure(new AbortedError('the shell to answer', limit.reason), options, { signal: limit });
  expect(error.message).toMatch(/: bootTimeout is over \(aborted while waiting for the shell to answer\)$/);
});

import { QmpilotError } from '@qmpilot/core';
import { expect, it } from 'vitest';
import { renderError } from './errors.js';

const error = new QmpilotError('NOT_FOUND', 'copyOut: /nope not found in the guest', { hint: 'list it with ls' });

it('names the command, not the function of the library', () => {
  expect(renderError(error)).toBe('qmpilot: cp: /nope not found in the guest\n  -> list it with ls\n');
});

it('wraps message and hint between words on a terminal', () => {
  expect(renderError(error, 18)).toBe('qmpilot: cp: /nope\nnot found in the\nguest\n  -> list it with\n     ls\n');
});

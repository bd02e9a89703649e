import { expect, it } from 'vitest';
import { onAbort } from './on-abort.js';

it('takes any number of listeners on one signal without a warning, and lets each be removed', async () => {
  const warnings: Error[] = [];
  const warn = (warning: Error) => void warnings.push(warning);
  process.on('warning', warn);
  const controller = new AbortController();
  let calls = 0;
  const undo = Array.from({ length: 40 }, () => onAbort(controller.signal, () => (calls += 1)));
  for (const remove of undo.slice(0, 10)) remove();
  controller.abort();
  expect(calls).toBe(30);
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', warn);
  expect(warnings).toEqual([]);
});

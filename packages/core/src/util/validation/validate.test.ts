import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { validate } from './validate.js';

const DISK = v.strictObject({ file: v.string(), readOnly: v.optional(v.boolean()) });
const OPTIONS = v.strictObject({
  memoryMiB: v.optional(v.number()),
  display: v.optional(v.picklist(['none', 'std'])),
  disks: v.optional(v.array(DISK)),
});

describe('validate', () => {
  it('accepts what fits', () => {
    expect(() => validate(OPTIONS, { memoryMiB: 1, disks: [{ file: 'a' }] }, 'boot: options')).not.toThrow();
  });

  it.each([
    [
      { memoryMib: 1 },
      'boot: options.memoryMib: unknown option',
      'did you mean memoryMiB? There are: memoryMiB, display, disks',
    ],
    [{ colour: 1 }, 'boot: options.colour: unknown option', 'there are: memoryMiB, display, disks'],
    [
      { disks: [{ file: 'a', readonly: true }] },
      'boot: options.disks[0].readonly: unknown option',
      'did you mean readOnly? There are: file, readOnly',
    ],
    [{ disks: [{ file: undefined }] }, 'boot: options.disks[0].file: expected a string, got undefined', undefined],
    [{ disks: [{}] }, 'boot: options.disks[0].file: required', undefined],
    [{ disks: ['a'] }, 'boot: options.disks[0]: expected an object, got "a"', undefined],
    [{ display: 'gtk' }, 'boot: options.display: expected "none" or "std", got "gtk"', undefined],
    [{ memoryMiB: '2G' }, 'boot: options.memoryMiB: expected a number, got "2G"', undefined],
    [undefined, 'boot: options: expected an object, got undefined', undefined],
    [() => 1, 'boot: options: expected an object, got a function', undefined],
  ])('refuses %j by name', (value, message, hint) => {
    expect(() => validate(OPTIONS, value, 'boot: options')).toThrow(
      expect.objectContaining({ code: 'USAGE', message, hint }),
    );
  });
});

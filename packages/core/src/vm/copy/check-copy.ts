import * as v from 'valibot';
import { PATH, WAIT } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';

const COPY_OPTIONS = { ...WAIT, onProgress: v.optional(v.function()) } as const;
const OPTIONS = {
  copyIn: v.strictObject(COPY_OPTIONS),
  copyOut: v.strictObject({
    ...COPY_OPTIONS,
    maxBytes: v.optional(v.pipe(v.number(), v.minValue(0, 'expected a number of bytes'))),
  }),
} as const;

/** Checks the arguments of `vm.copyIn` and `vm.copyOut`. @throws {USAGE} */
export function checkCopy(what: keyof typeof OPTIONS, from: unknown, to: unknown, options: unknown): void {
  validate(PATH, from, `${what}: from`);
  validate(PATH, to, `${what}: to`);
  validate(OPTIONS[what], options, `${what}: options`);
}

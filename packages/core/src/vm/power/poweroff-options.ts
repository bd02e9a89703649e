import * as v from 'valibot';
import { DURATION, WAIT } from '../../util/validation/schemas.js';
import type { PoweroffOptions } from './poweroff.js';

/** The schema of `PoweroffOptions`. */
export const POWEROFF_OPTIONS = v.strictObject({
  ...WAIT,
  via: v.optional(v.picklist(['shell', 'acpi', 'none'])),
  wanted: v.optional(v.picklist(['poweroff', 'reboot', 'halt'])),
  slowAfter: v.optional(DURATION),
} satisfies Record<keyof PoweroffOptions, v.GenericSchema>);

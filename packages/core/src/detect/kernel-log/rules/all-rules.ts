import { ANY_BUG, BUGS } from './bugs.js';
import { CORRUPTION } from './corruption.js';
import { DEVICES } from './devices.js';
import { ANY_DIE, FAULTS } from './faults.js';
import { HARDWARE_ERRORS } from './hardware.js';
import { LOCKING } from './locking.js';
import { MEMORY } from './memory.js';
import { PANICS } from './panics.js';
import { RESOURCES } from './resources.js';
import type { Rule } from './rule.js';
import { SANITIZERS } from './sanitizers.js';
import { STALLS } from './stalls.js';
import { WARNINGS } from './warnings.js';

/** Tried in this order; the first that matches a message counts. */
export const RULES: readonly Rule[] = [
  ...STALLS,
  ...SANITIZERS,
  ...LOCKING,
  ...FAULTS,
  ...BUGS,
  ...WARNINGS,
  ...CORRUPTION,
  ...RESOURCES,
  ...MEMORY,
  ...DEVICES,
  ...HARDWARE_ERRORS,
  ...PANICS,
  ANY_DIE,
  ANY_BUG,
];

import { ANY_BUG, BUGS } from './bugs.js';
import { FAULTS } from './faults.js';
import { LOCKING } from './locking.js';
import { PANICS } from './panics.js';
import { RESOURCES } from './resources.js';
import type { Rule } from './rule.js';
import { SANITIZERS } from './sanitizers.js';
import { STALLS } from './stalls.js';

/** Tried in this order; the first that matches a message counts. */
export const RULES: readonly Rule[] = [
  ...STALLS,
  ...SANITIZERS,
  ...LOCKING,
  ...FAULTS,
  ...BUGS,
  ...RESOURCES,
  ...PANICS,
  ANY_BUG,
];

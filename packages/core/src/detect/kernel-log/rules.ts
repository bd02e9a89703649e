import type { Rule } from './rule.js';
import { ANY_BUG, BUGS } from './rules/bugs.js';
import { FAULTS } from './rules/faults.js';
import { LOCKING } from './rules/locking.js';
import { PANICS } from './rules/panics.js';
import { RESOURCES } from './rules/resources.js';
import { SANITIZERS } from './rules/sanitizers.js';
import { STALLS } from './rules/stalls.js';

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

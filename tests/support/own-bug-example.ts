/** What examples/your-own-bug/check.ts prints after its first line: a page of the port at each step. */
export const PAGES = [
  'as written: one',
  'after the snapshot: one',
  'changed: two',
  'in a fork: one',
  'after the restore: one',
];

import type { About } from './journal.js';

/** A bisection of two commits, for tests. */
export const ABOUT: About = {
  v: 1,
  id: 'id',
  startedAt: '',
  repo: '/',
  good: 'good',
  bad: 'bad',
  paths: [],
  build: 'make',
  certainty: 0.95,
  maxEndAttempts: 100,
};

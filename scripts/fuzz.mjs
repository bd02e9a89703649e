// pnpm test:fuzz [--cases N] [--time 10m]: random bytes against the parsers: so many cases of each test (100), then further ones until the
// time is over. A failure prints the seed and the smallest input that fails.
import { parseArgs } from 'node:util';
import { pnpm } from './host.mjs';

const { values } = parseArgs({ options: { cases: { type: 'string' }, time: { type: 'string' } } });
if (values.cases) process.env.QMPILOT_FUZZ_CASES = values.cases;
if (values.time) process.env.QMPILOT_FUZZ_TIME = values.time;
pnpm('exec', 'vitest', 'run', '--project', 'fuzz', '--maxWorkers', '100%');

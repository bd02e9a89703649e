// pnpm test:fuzz [--time 10m]: random bytes against the parsers, so long each; a minute by default. A failure prints the seed and the smallest bytes that fail.
import { parseArgs } from 'node:util';
import { pnpm } from './host.mjs';

const { values } = parseArgs({
  options: { time: { type: 'string', default: process.env.QMPILOT_FUZZ_TIME ?? '60s' } },
});
process.env.QMPILOT_FUZZ_TIME = values.time;
pnpm('exec', 'vitest', 'run', '--project', 'fuzz', '--maxWorkers', '100%');

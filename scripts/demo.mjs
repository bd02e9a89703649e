// npm run demo: sets up what is missing, and runs the main job. Further arguments go to `qmpilot repro`. With this seed the first attempt
// hangs and the next two do not: `npm run demo -- --seed N` draws others.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, run } from './host.mjs';
import './setup.mjs';

const bin = join(ROOT, 'packages', 'cli', 'dist', 'bin.js');
if (!existsSync(bin)) throw new Error(`${bin} was not built`);
const status = run(process.execPath, [
  bin,
  'repro',
  join('examples', 'npm-ci-hang', 'npm-ci-hang.repro.ts'),
  '--attempts',
  '3',
  '--seed',
  '90567',
  ...process.argv.slice(2),
]);
// 1 is the demo's purpose: the bug was reproduced.
process.exit(status === 1 ? 0 : status);

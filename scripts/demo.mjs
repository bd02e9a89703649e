// npm run demo: sets up what is missing, then runs the scenario of nodejs/node#55587 on the guest `broken` until the bug is reproduced, and
// on `fixed`, and compares the two runs. Further arguments go to both runs of `qmpilot repro`.
import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT, run } from './host.mjs';
import './setup.mjs';

const bin = join(ROOT, 'packages', 'cli', 'dist', 'bin.js');
if (!existsSync(bin)) throw new Error(`${bin} was not built`);
const qmpilot = (...args) => run(process.execPath, [bin, ...args]);

const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
const directory = relative(ROOT, join(ROOT, 'runs', `demo-${time}`));
const scenario = join('examples', 'npm-ci-hang', 'npm-ci-hang.repro.ts');

/** Runs the scenario on one of its guests; ends the demo unless the exit status is the wanted one: 0 clean, 1 reproduced. */
function repro(guest, wanted, ...options) {
  console.error(`\ndemo: ${guest}`);
  const out = join(directory, guest);
  const status = qmpilot('repro', scenario, '--guest', guest, '--out', out, ...options, ...process.argv.slice(2));
  if (status === wanted) return out;
  if (status <= 1) console.error(`demo: the bug was ${wanted === 1 ? 'not reproduced' : 'reproduced'} on ${guest}`);
  process.exit(status === 0 ? 1 : status);
}

const broken = repro('broken', 1, '--attempts', '4', '--until-reproduced', '1');
const fixed = repro('fixed', 0, '--attempts', '2');
console.error('\ndemo: is the fix real?');
const report = join(directory, 'comparison.html');
const status = qmpilot('report', broken, fixed, '--out', report);
if (status === 0) console.error(`demo: the bug was reproduced on broken and not on fixed; the comparison is ${report}`);
process.exit(status);

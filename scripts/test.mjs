// npm test: sets up what is missing, and runs every check there is.
import { pnpm, run } from './host.mjs';
import './setup.mjs';

// The contract tests run on a second QEMU as well, and fail where it cannot be had.
run('sh', ['tools/qmp-schema/fetch-qemu.sh', 'trixie'], { stdio: ['ignore', 'ignore', 'inherit'] });

// Of each fuzz test: a minute in CI, which sets the variable.
process.env.QMPILOT_FUZZ_TIME ??= '1s';
for (const check of [
  'lint',
  'typecheck',
  'check:packages',
  'docs:api',
  'test:unit',
  'test:fuzz',
  'test:contract',
  'test:browser',
  'test:faults',
  'test:e2e',
]) {
  console.error(`\n== ${check}`);
  pnpm('--silent', 'run', check);
}

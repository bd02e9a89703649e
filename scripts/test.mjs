// npm test: sets up what is missing, and runs every check there is.
import { pnpm } from './host.mjs';
import './setup.mjs';

for (const check of ['lint', 'typecheck', 'test:unit', 'test:contract', 'test:e2e']) {
  console.error(`\n== ${check}`);
  pnpm('--silent', 'run', check);
}

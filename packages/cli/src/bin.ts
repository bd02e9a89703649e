#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { EXIT, exitCodeOf } from './exit-codes.js';
import { InterruptedError } from './interrupt.js';
import { createProgram } from './program.js';
import { watchForUncaught } from './uncaught.js';

// A reader that closes the pipe early (`| head`) is not an error; what was found by then stays the exit status.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? (process.exitCode ?? EXIT.fine) : EXIT.cannotTell),
);

const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const version =
  typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : '0';

watchForUncaught();
try {
  await createProgram(version).parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.fine : EXIT.usage;
  else if (error instanceof InterruptedError) process.exitCode = error.exitCode;
  else {
    const { printError } = await import('./render/errors.js');
    printError(error);
    process.exitCode = exitCodeOf(error);
  }
}

import { Command } from 'commander';
import { registerCompletion } from './commands/completion.js';
import { registerDoctor } from './commands/doctor.js';
import { registerGuest } from './commands/guest.js';
import { registerPlan } from './commands/plan.js';
import { registerQmp } from './commands/qmp/qmp.js';
import { registerReport } from './commands/report.js';
import { registerRepro } from './commands/repro.js';
import { registerScan } from './commands/scan.js';
import { registerSnapshot } from './commands/snapshot.js';
import { registerVmCommands } from './commands/vm/register.js';

/** The whole command line; errors of usage are thrown as commander's. */
export function createProgram(version: string): Command {
  const program = new Command('qmpilot')
    .description('Boot, drive, snapshot and retry Linux VMs until a bug is caught.')
    .version(version)
    .enablePositionalOptions()
    .showHelpAfterError('(qmpilot --help shows what there is)')
    .configureHelp({ showGlobalOptions: true });
  for (const register of [
    registerRepro,
    registerReport,
    registerPlan,
    registerSnapshot,
    registerVmCommands,
    registerGuest,
    registerScan,
    registerQmp,
    registerDoctor,
    registerCompletion,
  ])
    register(program);
  overrideExit(program);
  return program;
}

function overrideExit(command: Command): void {
  command.exitOverride();
  for (const child of command.commands) overrideExit(child);
}

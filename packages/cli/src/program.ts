import { Command } from 'commander';
import { registerConsole } from './commands/console/console.js';
import { registerLogs } from './commands/console/logs.js';
import { registerPress } from './commands/console/press.js';
import { registerScreen } from './commands/console/screen.js';
import { registerScreenshot } from './commands/console/screenshot.js';
import { registerType } from './commands/console/type.js';
import { registerCrash, registerDrgn, registerGdb } from './commands/inspect/debuggers.js';
import { registerDiagnose } from './commands/inspect/diagnose.js';
import { registerDump } from './commands/inspect/dump.js';
import { registerExplain } from './commands/inspect/explain.js';
import { registerStacks } from './commands/inspect/stacks.js';
import { registerSysrq } from './commands/inspect/sysrq.js';
import { registerQmp } from './commands/qmp/qmp.js';
import { registerBisect } from './commands/runs/bisect.js';
import { registerPlan } from './commands/runs/plan.js';
import { registerReport } from './commands/runs/report.js';
import { registerRepro } from './commands/runs/repro.js';
import { registerWhen } from './commands/runs/when.js';
import { registerWorker } from './commands/runs/worker.js';
import { registerScan } from './commands/scan/scan.js';
import { registerFork } from './commands/snapshot/fork.js';
import { registerRestore } from './commands/snapshot/restore.js';
import { registerSnapshot } from './commands/snapshot/snapshot.js';
import { registerCompletion } from './commands/tools/completion.js';
import { registerDoctor } from './commands/tools/doctor.js';
import { registerGuest } from './commands/tools/guest.js';
import { registerKernel } from './commands/tools/kernel.js';
import { registerBoot } from './commands/vm/boot.js';
import { registerCp } from './commands/vm/cp.js';
import { registerExec } from './commands/vm/exec.js';
import { registerPoweroff } from './commands/vm/poweroff.js';
import { registerPs } from './commands/vm/ps.js';
import { registerRm } from './commands/vm/rm.js';
import { registerStop } from './commands/vm/stop.js';
import { registerWait } from './commands/vm/wait.js';
import { commandPath, HELP_CONFIGURATION, OUTPUT_CONFIGURATION } from './help.js';

/** The order and the headings of `qmpilot --help`. */
const GROUPS: readonly (readonly [heading: string, commands: readonly ((program: Command) => void)[]])[] = [
  [
    'Named VMs:',
    [registerBoot, registerPs, registerExec, registerCp, registerWait, registerPoweroff, registerStop, registerRm],
  ],
  [
    'Console and input:',
    [registerConsole, registerLogs, registerScreen, registerType, registerPress, registerScreenshot],
  ],
  [
    'Diagnosis:',
    [
      registerDiagnose,
      registerExplain,
      registerDump,
      registerGdb,
      registerCrash,
      registerDrgn,
      registerStacks,
      registerSysrq,
    ],
  ],
  ['Snapshots:', [registerSnapshot, registerRestore, registerFork]],
  ['Runs:', [registerRepro, registerWorker, registerReport, registerWhen, registerPlan, registerBisect]],
  ['Images:', [registerGuest, registerKernel]],
  ['Tools:', [registerScan, registerQmp, registerDoctor, registerCompletion]],
];

/** Creates the whole command line; usage errors are thrown as commander's. */
export function createProgram(version: string): Command {
  const program = new Command('qmpilot')
    .description('Boot, drive, snapshot and retry Linux VMs until a bug is caught.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .enablePositionalOptions()
    .configureHelp(HELP_CONFIGURATION)
    .configureOutput(OUTPUT_CONFIGURATION);
  for (const [heading, commands] of GROUPS) {
    program.commandsGroup(heading);
    for (const register of commands) register(program);
  }
  program.helpCommand('help [command]', 'show the help of a command');
  finish(program);
  return program;
}

function finish(command: Command): void {
  if (command.parent) command.helpCommand(false);
  command.exitOverride();
  command.showHelpAfterError(`  -> see ${command.parent ? `qmpilot ${commandPath(command)}` : 'qmpilot'} --help`);
  for (const child of command.commands) {
    // In `qmpilot --help` subcommands appear in the group of their command.
    if (command.parent) child.helpGroup(command.helpGroup());
    finish(child);
  }
}

import type { Command } from 'commander';
import { registerBoot } from './boot.js';
import { registerConsole } from './console.js';
import { registerEnd } from './end.js';
import { registerExec } from './exec.js';
import { registerLogs } from './logs.js';
import { registerPs } from './ps.js';
import { registerScreen } from './screen.js';
import { registerRestore, registerSnapshotVerbs } from './snapshots.js';
import { registerType } from './type.js';

/** The verbs of vms that stay, under a name. */
export function registerVmCommands(program: Command): void {
  for (const register of [
    registerBoot,
    registerPs,
    registerExec,
    registerConsole,
    registerType,
    registerScreen,
    registerRestore,
    registerLogs,
    registerEnd,
  ])
    register(program);
  const snapshot = program.commands.find((command) => command.name() === 'snapshot');
  if (snapshot) registerSnapshotVerbs(snapshot);
}

import type { Command } from 'commander';
import { registerDrop } from './drop.js';
import { registerLs } from './ls.js';
import { registerRm } from './rm.js';
import { registerSave } from './save.js';

export function registerSnapshot(program: Command): void {
  const snapshot = program
    .command('snapshot')
    .description('snapshots of named VMs, and saved snapshots, from which a VM starts without booting');
  for (const register of [registerSave, registerLs, registerDrop, registerRm]) register(snapshot);
}

import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { QmpClient } from '../../packages/core/src/qmp/client.js';
import type { SchemaEntry, VersionedSchema } from './introspection.js';

/** Asks a QEMU binary for its QMP schema; it runs with no machine for some tens of milliseconds. */
export async function introspect(binary: string): Promise<VersionedSchema> {
  const args = [
    '-nodefaults',
    '-display',
    'none',
    '-machine',
    'none',
    '-S',
    '-chardev',
    'socket,id=qmp,fd=3',
    '-qmp',
    'chardev:qmp',
  ];
  const child = spawn(binary, args, { stdio: ['ignore', 'ignore', 'inherit', 'pipe'] });
  try {
    const stream = child.stdio[3];
    if (!(stream instanceof Duplex)) throw new Error(`${binary} could not be started`);
    const client = await QmpClient.fromStream(stream);
    const { major, minor } = client.greeting.version;
    const entries = await client.executeUntyped<SchemaEntry[]>('query-qmp-schema');
    await client.quit();
    return { version: `${major}.${minor}`, entries };
  } finally {
    child.kill('SIGKILL');
  }
}

import { readFileSync } from 'node:fs';
import { cpus, machine, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import type { RunEnvironment } from '../../run-files/run-file.js';
import { packageFolder } from '../../util/files/package-folder.js';

/** Returns the environment of a run, without names of the host or its user. */
export function readEnvironment(): RunEnvironment {
  const all = cpus();
  return {
    qmpilot: ownVersion(),
    node: process.versions.node,
    host: `${type()} ${release()} ${machine()}`,
    cpus: all.length,
    cpuModel: all[0]?.model.trim() ?? 'unknown',
    memoryMiB: Math.round(totalmem() / 2 ** 20),
  };
}

/** The version of this library. */
export function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageFolder(), 'package.json'), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown';
}

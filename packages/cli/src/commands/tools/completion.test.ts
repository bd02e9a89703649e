import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { claim } from '../../daemon/state.js';
import { createProgram } from '../../program.js';
import { complete } from './completion.js';

let dir: string;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-complete-'));
  vi.stubEnv('QMPILOT_STATE', dir);
  for (const name of ['web', 'worker', 'db'])
    await claim({ v: 1, name, guest: 'debian', createdAt: new Date().toISOString() });
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true });
});

const words = (...typed: string[]) => complete(createProgram('0'), typed);

describe('completion', () => {
  it('gives commands, and the verbs below one', async () => {
    expect(await words('po')).toEqual(['poweroff']);
    expect(await words('')).toEqual(expect.arrayContaining(['boot', 'exec', 'ps', 'repro']));
    expect(await words('')).not.toContain('keep');
    expect(await words('guest', '')).toEqual(expect.arrayContaining(['build', 'ls', 'rm']));
  });

  it('gives the names of vms where a vm is meant, and nothing behind them', async () => {
    expect(await words('exec', 'w')).toEqual(['web', 'worker']);
    expect(await words('stop', 'web', 'd')).toEqual(['db']);
    expect(await words('screen', 'web', '')).toEqual([]);
  });

  it('gives options, guests and choices', async () => {
    expect(await words('boot', '--na')).toEqual(['--name']);
    expect(await words('boot', '')).toEqual(['debian']);
    expect(await words('completion', '')).toEqual(['bash', 'fish', 'zsh']);
  });
});

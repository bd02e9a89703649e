import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { salvageRunFile } from '../../run-files/run-file.js';
import { describeRunFile } from './run-description.js';

describe('describeRunFile', () => {
  it('reads what run.json says of the machine', () => {
    const text = JSON.stringify({
      v: 1,
      name: 'n',
      seed: 5,
      attempts: 10,
      shard: { index: 2, count: 5 },
      sessions: [{ end: 'interrupted', forks: 2 }],
      source: { file: 'a.repro.ts', sha256: 'ab' },
      facts: {
        qemu: { version: '7.2', path: '/q' },
        accelerator: { accelerator: 'tcg', reason: 'no KVM' },
        machine: 'q35',
        cpu: 'max',
        cpus: 2,
        memoryMiB: 512,
        guest: { name: 'g', kernelRelease: '6.1' },
        commandLine: ['q', '-S'],
      },
    });
    const run = describeRunFile(salvageRunFile(text), 'folder');
    expect(run).toMatchObject({
      name: 'n',
      shard: { index: 2, count: 5 },
      kernel: '6.1',
      commandLine: ['q', '-S'],
      sessions: [{ end: 'interrupted', forks: 2 }],
    });
    expect(Object.fromEntries(run.environment.map(({ name, value }) => [name, value]))).toMatchObject({
      'QEMU': '7.2 (/q)',
      'Accelerator': 'TCG: no KVM',
      'Machine': 'q35, max CPU, 2 vCPUs, 512 MiB',
      'Parallel forks': '2',
      'Seed': '5',
    });
  });

  it('accepts an empty file, and never throws', () => {
    expect(describeRunFile(salvageRunFile(''), 'folder')).toMatchObject({
      name: 'folder',
      environment: [],
      commandLine: [],
      sessions: [],
    });
    const keys = ['name', 'facts', 'source', 'shard', 'sessions', 'environment', 'attempts'] as const;
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...keys), fc.jsonValue()), (value) => {
        expect(typeof describeRunFile(salvageRunFile(JSON.stringify(value)), 'folder').name).toBe('string');
      }),
    );
  });
});

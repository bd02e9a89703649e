import { describe, expect, it } from 'vitest';
import { kernelLabels, runMatrix, statusOf } from './kernel-matrix.js';

describe('repro on several kernels', () => {
  it('names the runs after the kernels, each once', () => {
    expect(
      kernelLabels(['linux-image-6.12-cloud-amd64', './linux', '/src/linux', 'pkg/linux-image-6.1.0_amd64.deb']),
    ).toEqual(['6.12-cloud-amd64', 'linux-1', 'linux-2', '6.1.0_amd64']);
  });

  it('fails when one kernel does, and is inconclusive when one is and none fails', () => {
    expect([statusOf([0, 1, 125]), statusOf([0, 125]), statusOf([0, 0])]).toEqual([1, 125, 0]);
  });

  it.each([{ resume: 'runs/x' }, { shard: { index: 1, count: 2 } }])('refuses %j', async (options) => {
    const run = () => expect.fail('it runs');
    await expect(runMatrix(['a', 'b'], options, run)).rejects.toMatchObject({ code: 'USAGE' });
  });
});

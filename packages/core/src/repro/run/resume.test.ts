import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAttempts } from '../../run-files/attempts-file.js';
import { readRunFile } from '../../run-files/journal.js';
import { runScenario } from './run-scenario.js';
import { bootFake, dir, guest, scenario, vms } from './scripted-vm.fixture.js';

describe('a run that is resumed', () => {
  const source = { file: 'x.repro.ts', sha256: 'a' };
  const first = (more: object = {}) =>
    runScenario(
      scenario(async () => {}),
      { attempts: 3, dir, source, boot: bootFake, ...more },
    );
  const again = (more: object = {}) =>
    runScenario(
      scenario(async () => {}),
      { resume: dir, source, boot: bootFake, ...more },
    );

  it('boots nothing when all is done, and makes only what is added', async () => {
    await first();
    vms.length = 0;
    expect(await again()).toMatchObject({ attempts: 3 });
    expect(vms).toEqual([]);
    expect(await again({ attempts: 5 })).toMatchObject({ attempts: 5 });
    expect(vms[0]?.forks).toHaveLength(2);
    expect((await readRunFile(dir)).sessions.map(({ end }) => end)).toEqual(['finished', 'finished', 'finished']);
  });

  it('refuses another scenario or another guest unless told, and options that would make other attempts', async () => {
    await first();
    await expect(again({ source: { ...source, sha256: 'b' } })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(again({ seed: 4 })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(again({ timeout: 4 })).rejects.toMatchObject({ code: 'USAGE' });
    guest.key = 'other';
    await expect(again({ attempts: 4 })).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('guest'),
    });
    expect(await again({ attempts: 4, acceptChanges: true, source: { ...source, sha256: 'b' } })).toMatchObject({
      attempts: 4,
    });
  });

  it('stays in its shard, and all shards together are the whole run', async () => {
    const parts = [1, 2, 3].map((index) => ({ dir: join(dir, String(index)), shard: { index, count: 3 } }));
    for (const part of parts) await first({ attempts: 10, ...part });
    const runs = await Promise.all(
      parts.map(async (part) => ({
        run: await readRunFile(part.dir),
        ...parseAttempts(await readFile(join(part.dir, 'attempts.jsonl')), part.dir),
      })),
    );
    expect(
      runs.flatMap(({ records }) => records.map(({ index }) => index)).toSorted((one, other) => one - other),
    ).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(new Set(runs.map(({ run }) => run.seed)).size).toBe(1);
    await expect(
      runScenario(
        scenario(async () => {}),
        { dir: join(dir, 'x'), shard: { index: 4, count: 3 }, boot: bootFake },
      ),
    ).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('stops when the rate is decided, and says so', async () => {
    const summary = await first({ attempts: 1000, forks: 4, until: 'rate<0.2@90%' });
    expect(summary).toMatchObject({ goal: { goal: 'rate<0.2@90%', decision: 'holds' }, reproduced: 0 });
    expect(summary.attempts).toBeLessThan(30);
    expect((await readRunFile(dir)).sessions).toMatchObject([{ end: 'stopped', message: 'rate<0.2@90% holds' }]);
    await expect(first({ dir: join(dir, 'x'), until: 'rate?' })).rejects.toMatchObject({ code: 'USAGE' });
  });
});

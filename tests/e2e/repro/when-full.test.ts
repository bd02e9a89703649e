import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debian, defineScenario, runScenario, type AttemptContext, type Vm } from '@qmpilot/core';
import { measureWhen } from '@qmpilot/core/report';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leftovers, leftoversSince } from '../../support/leftovers.js';

/** Warms up for some seconds, then a random number decides, and some seconds later the result is there. */
const PROGRAM = `
sleep 4
n=$(od -An -N1 -tu1 /dev/urandom)
echo "the number is drawn" >/dev/kmsg
sleep 3
[ $((n % 3)) = 0 ] && echo bad >/run/result.new || echo good >/run/result.new
mv /run/result.new /run/result
`;

async function judge(vm: Vm, { signal, fail }: AttemptContext): Promise<void> {
  await vm.waitForFile('/run/result', { signal, timeout: '2m' });
  const { stdout } = await vm.exec('cat /run/result', { signal });
  if (stdout === 'bad\n') fail('the result is bad');
}

const scenario = defineScenario({
  name: 'warm-up',
  guest: debian(),
  boot: { cpus: 1, memoryMiB: 512 },
  async attempt(vm, context) {
    // It goes on in the forks, and nobody waits for it there.
    void vm.exec(PROGRAM, { signal: context.signal }).catch(() => {});
    await judge(vm, context);
  },
  fromCheckpoint: judge,
});

/** Some seventy forks of real guests, each for some seconds. By chance alone one run in some hundred finds nothing, or another place. */
describe.runIf(process.env['QMPILOT_TEST_FULL'] === '1')('when, on Debian with random numbers of its own', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'qmpilot-when-full-'));
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it(
    'finds the moment at which a number is drawn, after a warm-up and before the failure',
    { timeout: 1_800_000 },
    async () => {
      const before = leftovers();
      const out = join(dir, 'run');
      const { reproduced } = await runScenario(scenario, {
        attempts: 30,
        untilReproduced: 1,
        forks: 2,
        dir: out,
        checkpoints: '1s',
      });
      expect(reproduced).toBe(1);
      const result = await measureWhen(scenario, {
        run: out,
        forks: 2,
        batch: 8,
        onEvent: (event) => {
          if (event.type === 'rise') console.log(`between ${event.from} and ${event.to} ms`);
        },
      });
      console.log(JSON.stringify({ ...result, interval: undefined }));
      const { verdict, rise, points, interval } = result;
      expect(verdict).toBe('confirmed');
      expect(interval?.console.join('\n')).toContain('the number is drawn');
      const early = points[rise?.from ?? 0]?.interval ?? [1, 0];
      expect(early[0]).toBeLessThan(1 / 3);
      expect(early[1]).toBeGreaterThan(1 / 3);
      expect(points[rise?.to ?? 0]?.probability).toBe(1);
      expect(leftoversSince(before)).toEqual([]);
    },
  );
});

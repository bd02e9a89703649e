import { debian } from '../../../packages/core/dist/index.js';
import { createVmTest } from '../../../packages/core/dist/vitest/index.js';

const test = createVmTest({ guest: debian(), artifacts: process.env.BENCH_ARTIFACTS });

for (let number = 1; number <= Number(process.env.BENCH_TESTS ?? 3); number += 1) {
  test(`test ${number}`, { timeout: 60_000 }, async ({ vm, task }) => {
    task.meta.startedAt = performance.now();
    await vm.expectOk('true');
  });
}

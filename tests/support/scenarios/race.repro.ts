import { defineScenario, type AttemptContext, type Vm } from '@qmpilot/core';
import queued from './queued.repro.js';

/** How long a writer keeps what it has read, and the latest start of the second one, in microseconds. */
const HELD = 50_000;
const LATEST = 240_000;
const STEPS = ['begin', 'warm', 'raced', 'worked'];

/** A warm-up, two writers of one file without a lock, and some work before the lost update is noticed; without the steps that are done. */
async function race(vm: Vm, { seed, signal, fail, checkpoint }: AttemptContext, done: number): Promise<void> {
  const commands = ['work', `race ${seed % LATEST}`, 'work'];
  for (const [step, command] of [...commands.entries()].slice(done)) {
    await vm.console.type(`${command}; echo "step ${step + 1}: $?."\n`, { signal });
    await vm.console.expect(new RegExp(`step ${step + 1}: 0\\.`), { signal, timeout: '30s' });
    await checkpoint(STEPS[step + 1] ?? '');
  }
  await vm.console.type('echo "sum: $(busybox cat /sum) ."\n', { signal });
  const { groups } = await vm.console.expect(/sum: (\d) \./, { signal, timeout: '30s' });
  if (groups[0] !== '2') fail('an update was lost');
}

export default defineScenario({
  name: 'race',
  guest: queued.guest,
  async prepare(vm) {
    for (const line of [
      `bump() { n=$(busybox cat /sum); busybox usleep ${HELD}; echo $((n + 1)) > /sum; }`,
      'race() { echo 0 > /sum; bump & busybox usleep $1; bump; wait; }',
      'work() { i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); done; }',
      'echo "ready $((6 * 7))"',
    ])
      await vm.console.type(`${line}\n`);
    await vm.console.expect(/ready 42/);
  },
  async attempt(vm, context) {
    await context.checkpoint(STEPS[0] ?? '');
    await race(vm, context, 0);
  },
  async fromCheckpoint(vm, context) {
    await race(vm, context, STEPS.indexOf(context.from.mark ?? ''));
  },
});

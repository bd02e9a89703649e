import { defineScenario, type AttemptContext, type Vm } from '@qmpilot/core';
import queued from './queued.repro.js';

const MARKS = ['before the coins', 'after coin 1', 'after coin 2'];

/** Has the guest throw the coins that are not thrown yet; both heads is a failure. The same seed gives the same coins. */
async function throwCoins(vm: Vm, { seed, signal, fail, checkpoint }: AttemptContext, thrown: number): Promise<void> {
  for (const coin of [1, 2].slice(thrown)) {
    await vm.console.type(`throw ${coin} ${seed}\n`, { signal });
    await vm.console.expect(new RegExp(`coin ${coin} shows [01]`), { signal, timeout: '30s' });
    await checkpoint(MARKS[coin] ?? '');
  }
  await vm.console.type('echo "both: $c1 $c2 ."\n', { signal });
  const { groups } = await vm.console.expect(/both: ([01] [01]) \./, { signal, timeout: '30s' });
  if (groups[0] === '1 1') fail('both coins are heads');
}

export default defineScenario({
  name: 'two-coins',
  guest: queued.guest,
  async prepare(vm) {
    const side = '$(printf %s "$2:$1" | busybox sha256sum)';
    await vm.console.type(
      `throw() { case ${side} in [89a-f]*) side=1;; *) side=0;; esac; eval "c$1=$side"; echo "coin $1 shows $side"; }\n`,
    );
    await vm.console.type('echo "ready $((6 * 7))"\n');
    await vm.console.expect(/ready 42/);
  },
  async attempt(vm, context) {
    await context.checkpoint(MARKS[0] ?? '');
    await throwCoins(vm, context, 0);
  },
  async fromCheckpoint(vm, context) {
    await throwCoins(vm, context, MARKS.indexOf(context.from.mark ?? ''));
  },
});

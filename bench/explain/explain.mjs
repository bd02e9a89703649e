// How long vm.explain() takes, and pauses the guest, with 500 tasks in 4 GiB:
// node bench/explain/explain.mjs [--check]   (build first). With --check it fails outside of the bounds.
import { boot, debian } from '../../packages/core/dist/index.js';
import { reportBounds } from '../bounds.mjs';

const [TOTAL_MS, PAUSE_MS] = [1000, 50];
const ROUNDS = 15;
const TASKS = 500;

const vm = await boot(debian({ memoryMiB: 4096 }), { cache: true });
await vm.expectOk(`for i in $(seq ${TASKS}); do sleep infinity & done > /dev/null 2>&1; sync`);
const times = [];
for (let round = 0; round <= ROUNDS; round += 1) {
  const begun = performance.now();
  const { tasks, pausedMs } = await vm.explain();
  times.push({ ms: performance.now() - begun, pausedMs, tasks });
}
const [cold, ...warm] = times;
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const total = median(warm.map(({ ms }) => ms));
const pause = median(warm.map(({ pausedMs }) => pausedMs));
console.log('| vm.explain() | ms | guest paused, ms |\n|---|---:|---:|');
console.log(`| the first, which reads the kernel's symbols and types | ${cold.ms.toFixed(0)} | ${cold.pausedMs} |`);
console.log(`| median of ${ROUNDS} more, ${warm[0].tasks} tasks | ${total.toFixed(0)} | ${pause} |`);
reportBounds([
  ['the first explanation, ms', cold.ms, '<=', TOTAL_MS],
  ['the pause of the guest, ms', pause, '<=', PAUSE_MS],
]);
await vm.close();

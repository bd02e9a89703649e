// How long vm.explain() takes, and pauses the guest, with 500 tasks in 4 GiB:
// node bench/explain/explain.mjs [--check]   (build first). With --check it fails outside of the bounds.
import { boot, debian } from '../../packages/core/dist/index.js';

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
const failures = [
  ...(cold.ms > TOTAL_MS ? [`the first took ${cold.ms.toFixed(0)} ms, more than ${TOTAL_MS}`] : []),
  ...(pause > PAUSE_MS ? [`the guest was paused for ${pause} ms, more than ${PAUSE_MS}`] : []),
];
for (const failure of failures) console.error(failure);
if (process.argv.includes('--check') && failures.length > 0) process.exitCode = 1;
await vm.close();

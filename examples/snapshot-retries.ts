/**
 * How often does it fail? A race, tried again and again from one snapshot: each attempt is a fork that was loaded before it is needed, so
 * that it costs no more than the workload itself.
 *
 *     snapshot-retries.ts [ATTEMPTS]
 */
import { boot, debian } from '@qmpilot/core';
import { wilsonInterval } from '@qmpilot/core/statistics';

const attempts = Number(process.argv[2] ?? 12);

/** Two writers read a counter, wait for a moment, and write it back: when both read before either wrote, one count is lost. */
const RACE = `
echo 0 > counter
for writer in 1 2; do
  (sleep 0.$((RANDOM % 10)); n=$(cat counter); sleep 0.01; echo $((n + 1)) > counter) &
done
wait
test "$(cat counter)" = 2`;

const percent = (share: number) => `${Math.round(100 * share)} %`;

await using vm = await boot(debian());
// What all attempts have in common is done once.
await vm.expectOk('mkdir -p /run/race');
const snapshot = await vm.snapshot('ready');
await using pool = snapshot.pool({ size: 2 });

let lost = 0;
for (let attempt = 1; attempt <= attempts; attempt += 1) {
  await using fork = await pool.take();
  const { exitCode, durationMs } = await fork.exec(RACE, { cwd: '/run/race', timeout: '30s' });
  if (exitCode !== 0) lost += 1;
  console.log(
    `attempt ${attempt}: ${exitCode === 0 ? 'both counts are there' : 'a count was lost'}, after ${durationMs.toFixed(0)} ms`,
  );
}
const [low, high] = wilsonInterval(lost, attempts) ?? [0, 1];
console.log(
  `lost in ${lost} of ${attempts} attempts: ${percent(lost / attempts)}, with 95 % confidence between ${percent(low)} and ${percent(high)}`,
);

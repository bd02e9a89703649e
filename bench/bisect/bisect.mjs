// Accuracy and cost of finding a commit by a failure that has a rate, simulated: pnpm bench:bisect [--trials N] [--peers]
// [--row TEXT] [--check] [--calibration] (build first). Compares with `git bisect run` with the best fixed number of attempts, and with
// git-bayesect's rule.
// Costs are in attempts; a build costs 40 of them. Seeds are fixed.
import { parseArgs } from 'node:util';
import { generator, makeHistory, Trial } from './oracles.mjs';
import { entropyOnly, firstAnswers, gitBisectRun, rateAware } from './strategies.mjs';

const BUILD = 40;
const ROWS = [
  { name: '5 % / 0', rate: 0.05, background: 0 },
  { name: '20 % / 2 %', rate: 0.2, background: 0.02 },
  { name: '50 % / 0', rate: 0.5, background: 0 },
  { name: '3 % / 0.1 %', rate: 0.03, background: 0.001 },
  { name: '100 % / 0', rate: 1, background: 0 },
  { name: '100 % / 0, given', rate: 1, background: 0, known: { rate: { rate: 1 }, background: { rate: 0 } } },
  { name: '20 % / 2 %, merges', rate: 0.2, background: 0.02, merges: true },
  { name: '50 % / 0, merges', rate: 0.5, background: 0, merges: true },
  { name: '20 % / 2 %, 10 % do not build', rate: 0.2, background: 0.02, broken: 0.1 },
  { name: '50 % / 0, merges, 10 % do not build', rate: 0.5, background: 0, merges: true, broken: 0.1 },
];
/** Right in at least this share of the trials; cost against plain bisection where that is right, too; builds against log2(commits). */
const BOUNDS = { right: 0.95, cost: 1.5, builds: 1.6 };
/** Attempts at each commit that `git bisect run` is tried with; the cheapest that is right in 95 % counts, else the most accurate. */
const FIXED = [1, 2, 3, 5, 8, 14, 24, 40, 60, 104, 160, 250];

const { values } = parseArgs({
  options: {
    trials: { type: 'string' },
    commits: { type: 'string' },
    /** git-bayesect's rule as well: slow, 20 trials a row at most. */
    peers: { type: 'boolean' },
    /** Only the rows with this in their names. */
    row: { type: 'string' },
    /** How often an answer of a certainty is right before it is confirmed, instead of all else. */
    calibration: { type: 'boolean' },
    check: { type: 'boolean' },
  },
});
const trials = Number(values.trials ?? 200);
const commits = Number(values.commits ?? 1024);
const failures = [];

const rows = ROWS.filter(({ name }) => name.includes(values.row ?? ''));
if (values.calibration) {
  calibrate(rows);
  process.exit();
}

console.log(
  `${commits} commits, ${trials} trials a row, a build costs ${BUILD} attempts; cost includes both ends and the confirmation`,
);
console.log('| rate / background | strategy | right | cost | builds | attempts |');
console.log('|---|---|---|---|---|---|');
for (const row of rows) {
  const ours = measure(row, (trial) => rateAware(trial, BUILD, row.known));
  print(row, 'most bits for the cost, confirmed', ours);
  const plain = bestFixed(row);
  print(row, `git bisect run, ${plain.attemptsPerCommit} attempts a commit`, plain);
  if (values.peers) print(row, "git-bayesect's rule", measure(row, entropyOnly, Math.min(trials, 20)));
  check(row, ours, plain);
}
console.log(`information bound: ${Math.log2(commits).toFixed(0)} bits, one build a bit at best`);
if (failures.length > 0) {
  for (const failure of failures) console.error(`missed: ${failure}`);
  if (values.check) process.exitCode = 1;
}

function calibrate(which) {
  const certainties = [0.5, 0.8, 0.9, 0.95, 0.99];
  const total = certainties.map(() => ({ right: 0, answers: 0 }));
  const percent = ({ right, answers }) => `${((100 * right) / answers).toFixed(1)} %`;
  console.log(`| rate / background | ${certainties.map((certainty) => `${100 * certainty} %`).join(' | ')} |`);
  console.log(`|---|${certainties.map(() => '---:|').join('')}`);
  for (const { name, rate, background, merges = false, broken = 0 } of which) {
    const sums = certainties.map(() => ({ right: 0, answers: 0 }));
    for (let seed = 1; seed <= trials; seed++) {
      const random = generator(seed);
      const trial = new Trial({ commits: makeHistory(commits, { merges, random }), rate, background, broken, random });
      for (const [i, answer] of firstAnswers(trial, BUILD, certainties).entries()) {
        if (answer === undefined) continue;
        for (const sum of [sums[i], total[i]]) {
          sum.answers++;
          if (answer.includes(trial.culprit)) sum.right++;
        }
      }
    }
    console.log(`| ${name} | ${sums.map(percent).join(' | ')} |`);
  }
  console.log(`| all | ${total.map(percent).join(' | ')} |`);
}

function measure({ rate, background, merges = false, broken = 0 }, strategy, count = trials) {
  const sums = { right: 0, cost: 0, search: 0, builds: 0, attempts: 0, trials: count };
  for (let seed = 1; seed <= count; seed++) {
    const random = generator(seed);
    const trial = new Trial({ commits: makeHistory(commits, { merges, random }), rate, background, broken, random });
    const named = strategy(trial);
    // A set is right when it holds the culprit, and nothing that builds could have told its commits apart.
    const inseparable = named.filter((id) => !trial.broken.has(id)).length <= 1;
    if (named.includes(trial.culprit) && inseparable) sums.right++;
    sums.builds += trial.builds;
    sums.attempts += trial.attempts;
    sums.cost += trial.builds * BUILD + trial.attempts;
    sums.search += trial.search.builds * BUILD + trial.search.attempts;
  }
  return sums;
}

function bestFixed(row) {
  let best;
  for (const attemptsPerCommit of FIXED) {
    const result = { ...measure(row, gitBisectRun(attemptsPerCommit)), attemptsPerCommit };
    if (result.right / trials >= BOUNDS.right) return result;
    if (best === undefined || result.right > best.right) best = result;
  }
  return best;
}

function print({ name }, strategy, { right, cost, builds, attempts, trials: count }) {
  const mean = (sum, digits = 0) => (sum / count).toFixed(digits);
  console.log(
    `| ${name} | ${strategy} | ${((100 * right) / count).toFixed(1)} % | ${mean(cost)} | ${mean(builds, 1)} | ${mean(attempts)} |`,
  );
}

function check({ name, rate, background, known }, ours, plain) {
  const right = ours.right / trials;
  if (right < BOUNDS.right)
    failures.push(`${name}: right in ${(100 * right).toFixed(1)} %, bound ${100 * BOUNDS.right} %`);
  const builds = ours.builds / trials;
  const most = BOUNDS.builds * Math.log2(commits);
  if (builds > most) failures.push(`${name}: ${builds.toFixed(1)} builds, bound ${most.toFixed(1)}`);
  // Where every attempt is known to tell the truth, only the ends and the confirmation may be added to plain bisection.
  if (rate === 1 && background === 0) {
    const [search, least] = [ours.search / trials, plain.cost / trials];
    console.log(`${name}: ${search.toFixed(1)} without ends and confirmation, git bisect run ${least.toFixed(1)}`);
    if (known && search > least)
      failures.push(`${name}: the search costs ${search.toFixed(1)}, bound ${least.toFixed(1)}`);
  }
  // Plain bisection takes both ends for granted.
  const ratio = (ours.cost - 2 * BUILD * trials) / plain.cost;
  if (plain.right / trials >= BOUNDS.right && ratio > BOUNDS.cost)
    failures.push(`${name}: ${ratio.toFixed(2)} x the cost of git bisect run, bound ${BOUNDS.cost} x`);
}

// pnpm bench [NAME...] [--check] [--compare REV]: builds, and runs the benchmarks of package.json (`bench:*`), or those that are named: `pnpm bench qmp copy`.
// Their tables go to standard output, with the machine before them and a table of all benchmarks behind them, for docs/benchmarks.md.
// --check: a benchmark outside of its bounds makes the exit status 1. --compare REV: each benchmark first runs on another revision, which is
// checked out and built in a temporary directory; one of that revision alone or of this one alone is left out there.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fail, ROOT, run } from './host.mjs';

const PREFIX = 'bench:';
const { values, positionals } = readArguments();
const all = benchmarksOf(ROOT);
const unknown = positionals.find((name) => !all.includes(name));
if (unknown !== undefined)
  fail(`pnpm bench: unknown benchmark ${JSON.stringify(unknown)}; there are: ${all.join(', ')}`);
const names = positionals.length > 0 ? positionals : all;

let child;
let stopped = false;
for (const signal of ['SIGINT', 'SIGTERM'])
  process.on(signal, () => {
    stopped = true;
    child?.kill(signal);
  });

build(ROOT);
const other = values.compare === undefined ? undefined : checkOut(values.compare);
const sides = [...(other ? [{ label: values.compare, root: other }] : []), { label: other ? 'here' : '', root: ROOT }];

console.log(`${machine()}\n`);
const results = [];
for (const name of names) {
  for (const { label, root } of sides) {
    if (stopped || !benchmarksOf(root).includes(name)) continue;
    const title = [name, label].filter(Boolean).join(', ');
    console.error(`\n== ${title}`);
    const begun = performance.now();
    const { output, status, missed } = await runBenchmark(root, name);
    if (stopped) break;
    console.log(`### ${title}\n\n${output.trim()}\n`);
    results.push({ title, status, missed, seconds: (performance.now() - begun) / 1000 });
  }
}

console.log('| benchmark | within its bounds | missed | time, s |\n|---|---|---|---:|');
for (const { title, status, missed, seconds } of results)
  console.log(`| ${title} | ${status === 0 ? 'yes' : 'no'} | ${missed.join('; ')} | ${seconds.toFixed(0)} |`);
if (stopped) process.exitCode = 130;
else if (values.check && results.some(({ title, status }) => status !== 0 && !title.endsWith(`, ${values.compare}`)))
  process.exitCode = 1;

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { check: { type: 'boolean', default: false }, compare: { type: 'string' } },
    });
  } catch (error) {
    return fail(`pnpm bench: ${error.message}`);
  }
}

function benchmarksOf(root) {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return Object.keys(scripts)
    .filter((script) => script.startsWith(PREFIX))
    .map((script) => script.slice(PREFIX.length));
}

function build(root) {
  if (run('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] }) !== 0)
    fail(`pnpm bench: cannot build ${root}`);
}

/** A work tree of its own, which is removed when this process ends. */
function checkOut(revision) {
  const folder = mkdtempSync(join(tmpdir(), 'qmpilot-bench-'));
  const tree = join(folder, 'tree');
  process.on('exit', () => {
    run('git', ['worktree', 'remove', '--force', tree], { cwd: ROOT, stdio: 'ignore' });
    rmSync(folder, { recursive: true, force: true });
  });
  const silent = { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] };
  if (run('git', ['worktree', 'add', '--detach', tree, revision], silent) !== 0)
    fail(`pnpm bench: cannot check out ${revision}`);
  if (run('pnpm', ['install', '--frozen-lockfile', '--prefer-offline'], { ...silent, cwd: tree }) !== 0)
    fail(`pnpm bench: cannot install the packages of ${revision}`);
  build(tree);
  return tree;
}

/** What it prints on standard error is shown at once. */
function runBenchmark(root, name) {
  return new Promise((resolve) => {
    let output = '';
    child = spawn('npm', ['run', '--silent', `${PREFIX}${name}`, '--', '--check'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text) => {
      errors += text;
      process.stderr.write(text);
    });
    child.once('close', (code) => {
      const missed = [...errors.matchAll(/^missed: (.*)$/gm)].map(([, what]) => what);
      resolve({ output, status: code ?? 1, missed });
    });
  });
}

function machine() {
  const [{ model } = { model: 'unknown processor' }] = cpus();
  const qemu = execFileSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' }).split('\n')[0];
  const revision = execFileSync('git', ['describe', '--always', '--dirty'], { cwd: ROOT, encoding: 'utf8' }).trim();
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  return `${new Date().toISOString().slice(0, 10)}, ${revision}: ${model}, ${cpus().length} processors, ${memory} GiB, load ${loadavg()[0].toFixed(1)}; ${qemu}, Node.js ${process.version}`;
}

// Speed of the kernel-log engine on one core, against what it costs to read the same bytes at all, and the slowest line
// that hostile input can make: pnpm bench:detect [--check]. With --check it fails beyond the limits below.
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKernelLogDetector } from '../../packages/core/dist/detect/index.js';
import { reportBounds } from '../bounds.mjs';

const FLOOR = 60;
/** The rate of the large log may differ from the small one's by this share. */
const LINEAR_WITHIN = 0.2;
/** For one line of hostile input, in ms; a shared host may take a core away for a moment, so each slow line is tried again. */
const LINE_LIMIT = 5;
const HOSTILE_LINES = 60_000;
const RUNS = 5;
const CHUNK = 1 << 16;
const fixture = (name) => readFileSync(new URL(`../../tests/fixtures/${name}`, import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'qmpilot-bench-'));

const healthy = fixture('console/healthy.raw');
const failing = fixture('console/user-stall.raw');
// Of a long run nearly all is boots and shutdowns; one hang in twenty boots.
const mixed = [...Array.from({ length: 20 }, () => healthy), failing.subarray(0, 60_000)];
const inputs = [
  ['healthy boots', [healthy], 10e6],
  ['boots with failures', mixed, 10e6],
  ['boots with failures', mixed, 200e6],
  ['nearly nothing but reports', [failing], 10e6],
  ['no line end at all', [Buffer.alloc(65_536, 'BUG: INFO: task ')], 10e6],
];

try {
  const rows = inputs.map(([name, parts, size], index) =>
    measure(name, write(join(directory, `${index}.log`), parts, size)),
  );
  print(rows);
  const worst = slowestLine();
  console.log(
    `\nslowest of ${HOSTILE_LINES} hostile lines: ${worst.ms.toFixed(2)} ms for ${worst.line.length} characters, ${JSON.stringify(worst.line.slice(0, 60))}...`,
  );
  check(rows, worst);
} finally {
  rmSync(directory, { recursive: true });
}

function write(path, parts, size) {
  const file = openSync(path, 'w');
  for (let written = 0, i = 0; written < size; i++) written += writeSync(file, parts[i % parts.length]);
  closeSync(file);
  return path;
}

function measure(name, path) {
  const bytes = statSync(path).size;
  const heap = process.memoryUsage().heapUsed;
  let peak = 0;
  let findings = 0;
  const engine = best(() => {
    findings = 0;
    read(path, createKernelLogDetector(), (found) => {
      findings += found.length;
      peak = Math.max(peak, process.memoryUsage().heapUsed - heap);
    });
  });
  return {
    name,
    bytes,
    findings,
    peak,
    engine: rate(bytes, engine),
    cat: rate(
      bytes,
      best(() => execFileSync('cat', [path], { stdio: ['ignore', 'ignore', 'ignore'] })),
    ),
    grep: rate(
      bytes,
      best(() =>
        execFileSync('grep', ['-a', '-c', '-e', 'BUG:', '-e', 'INFO: task', '-e', 'Kernel panic', '-e', '^', path]),
      ),
    ),
  };
}

function read(path, detector, take) {
  const file = openSync(path, 'r');
  const chunk = Buffer.allocUnsafe(CHUNK);
  for (let length = readSync(file, chunk); length > 0; length = readSync(file, chunk)) {
    const found = detector.push(chunk.subarray(0, length), 0);
    if (found.length > 0) take(found);
  }
  closeSync(file);
  take(detector.end(0));
}

function best(work) {
  let least = Infinity;
  for (let run = 0; run < RUNS; run++) {
    const started = performance.now();
    work();
    least = Math.min(least, performance.now() - started);
  }
  return least;
}

/** Lines made of what the rules look for, repeated and mixed: what makes a pattern backtrack, if anything does. */
function slowestLine() {
  const random = generator(1);
  const parts = fragments();
  const pick = () => parts[Math.floor(random() * parts.length)];
  let worst = { ms: 0, line: '' };
  for (let i = 0; i < HOSTILE_LINES; i++) {
    const unit = random() < 0.5 ? pick() : pick() + pick();
    const line = `${random() < 0.7 ? '[   12.345678] ' : ''}${pick()}${unit.repeat(1 + Math.floor((random() * 4000) / unit.length))}${pick()}`;
    let ms = timed(line);
    for (let again = 0; again < 3 && ms > worst.ms; again++) ms = Math.min(ms, timed(line));
    if (ms > worst.ms) worst = { ms, line };
  }
  return worst;
}

function timed(line) {
  const detector = createKernelLogDetector();
  // In an open report every line is looked at by the patterns of stacks and structure as well.
  detector.push('[   12.345000] kernel BUG at a.c:1!\n', 0);
  const bytes = Buffer.from(`${line}\n`);
  const started = performance.now();
  detector.push(bytes, 0);
  return performance.now() - started;
}

/** Words of the fixtures' own headers, and what patterns repeat over. */
function fragments() {
  const words = new Set([
    'a',
    ' ',
    '0',
    'f',
    '/',
    ':',
    '.',
    '-',
    '_',
    '(',
    ')',
    '[',
    ']',
    '<',
    '>',
    '+0x',
    '+0x1/0x2',
    '\t',
    '\x1b[',
    '\x1b]',
    '[<0>] ',
    ' at: ',
    '[inline]',
    '0x0',
    'é',
  ]);
  const folder = new URL('../../tests/fixtures/kernel-log/', import.meta.url);
  for (const file of readdirSync(folder, { recursive: true }).toSorted((one, other) => one.localeCompare(other))) {
    // Reports as the kernel words them, without a prefix.
    if (!file.endsWith('.json') || !JSON.parse(readFileSync(new URL(file, folder), 'utf8')).messages) continue;
    const log = new URL(file.replace(/\.json$/, '.log'), folder);
    for (const line of readFileSync(log, 'utf8').split('\n')) {
      for (const length of [4, 12, 40, line.length]) if (line.length >= length) words.add(line.slice(0, length));
    }
  }
  words.delete('');
  return [...words];
}

/** mulberry32: the same lines in every run. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function rate(bytes, ms) {
  return bytes / 1e3 / ms;
}

function print(rows) {
  console.log('| log | size, MB | engine, MB/s | `grep -c`, MB/s | `cat`, MB/s | findings | heap growth, MB |');
  console.log('|---|---:|---:|---:|---:|---:|---:|');
  for (const { name, bytes, engine, grep, cat, findings, peak } of rows) {
    const numbers = [bytes / 1e6, engine, grep, cat, findings, peak / 1e6].map((number) => Math.round(number));
    console.log(`| ${name} | ${numbers.join(' | ')} |`);
  }
}

function check(rows, worst) {
  const [, small, large] = rows;
  reportBounds([
    ...rows.map(({ name, engine }) => [`${name}, MB/s`, engine, '>=', FLOOR]),
    ['200 MB against 10 MB, difference of the rates', Math.abs(large.engine / small.engine - 1), '<=', LINEAR_WITHIN],
    ['slowest hostile line, ms', worst.ms, '<=', LINE_LIMIT],
  ]);
}

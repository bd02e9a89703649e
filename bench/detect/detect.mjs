// Speed of the kernel-log engine on one core, against what it costs to read the same bytes at all:
// node bench/detect/detect.mjs [--check]   (build first). With --check it fails below the floor.
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKernelLogDetector } from '../../packages/core/dist/detect/index.js';

const FLOOR = 60;
/** The rate of the large log may differ from the small one's by this share. */
const LINEAR_WITHIN = 0.2;
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
  const rows = inputs.map(([name, parts, size], index) => measure(name, write(join(directory, `${index}.log`), parts, size)));
  print(rows);
  if (process.argv.includes('--check')) check(rows);
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
    cat: rate(bytes, best(() => execFileSync('cat', [path], { stdio: ['ignore', 'ignore', 'ignore'] }))),
    grep: rate(bytes, best(() => execFileSync('grep', ['-a', '-c', '-e', 'BUG:', '-e', 'INFO: task', '-e', 'Kernel panic', '-e', '^', path]))),
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

function check(rows) {
  const [, small, large] = rows;
  const slow = rows.filter(({ engine }) => engine < FLOOR);
  for (const { name, engine } of slow) console.error(`${name}: ${engine.toFixed(0)} MB/s is below ${FLOOR} MB/s`);
  const linear = Math.abs(large.engine - small.engine) <= small.engine * LINEAR_WITHIN;
  if (!linear) console.error(`not linear: ${small.engine.toFixed(0)} MB/s at 10 MB, ${large.engine.toFixed(0)} MB/s at 200 MB`);
  if (slow.length > 0 || !linear) process.exitCode = 1;
}

// Throughput of a serial console on the host, and the round trip of a command in the Debian guest:
// node bench/console/console.mjs [--check] [--no-guest]   (build first). With --check it fails outside of the bounds.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { Channel, Console, FileTranscript } from '../../packages/core/dist/console/index.js';
import { createKernelLogDetector, createShutdownDetector } from '../../packages/core/dist/detect/index.js';
import { boot, debian } from '../../packages/core/dist/index.js';
import { reportBounds } from '../bounds.mjs';

const MB_PER_S = 20;
const P50_MS = 10;
const BYTES = 64e6;
const CHUNK = 65_536;
const RUNS = 3;
const EXECS = 300;
const fixture = (name) => readFileSync(new URL(`../../tests/fixtures/console/${name}`, import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'qmpilot-bench-'));
const healthy = fixture('healthy.raw');
const inputs = [
  { name: 'boots and shutdowns', parts: Array.from({ length: 20 }, () => healthy) },
  {
    name: 'one stalled poweroff in 20 boots',
    parts: [...Array.from({ length: 20 }, () => healthy), fixture('user-stall.raw').subarray(0, 60_000)],
  },
];

try {
  const bounds = [];
  console.log(
    '| log | to a file alone, MB/s | and text | and detectors | and screen: all at once | all, MB per CPU second |',
  );
  console.log('|---|---:|---:|---:|---:|---:|');
  for (const { name, parts } of inputs) {
    const chunks = cut(Buffer.concat(parts));
    const floor = best(() => toFile(chunks));
    const text = await bestOf(() => feed(chunks, {}));
    const detectors = await bestOf(() => feed(chunks, { detectors: true }));
    const before = process.cpuUsage();
    const all = await bestOf(() => feed(chunks, { detectors: true, screen: true }));
    const { user, system } = process.cpuUsage(before);
    console.log(
      `| ${name} | ${[floor, text, detectors, all, (RUNS * BYTES) / (user + system)].map((value) => value.toFixed(0)).join(' | ')} |`,
    );
    bounds.push([`${name}, MB/s`, all, '>=', MB_PER_S]);
  }
  if (!process.argv.includes('--no-guest')) {
    const { p50, rows } = await roundTrips();
    console.log('\n| command in the Debian guest | p50, ms | p95, ms |\n|---|---:|---:|');
    for (const row of rows) console.log(`| ${row.join(' | ')} |`);
    bounds.push(['exec over hvc0, p50, ms', p50, '<=', P50_MS]);
  }
  reportBounds(bounds);
} finally {
  rmSync(directory, { recursive: true });
}

function cut(bytes) {
  const chunks = [];
  for (let total = 0; total < BYTES;) {
    for (let at = 0; at < bytes.length && total < BYTES; at += CHUNK) {
      const chunk = bytes.subarray(at, at + CHUNK);
      chunks.push(chunk);
      total += chunk.length;
    }
  }
  return chunks;
}

function toFile(chunks) {
  const file = openSync(join(directory, 'floor'), 'w');
  let bytes = 0;
  for (const chunk of chunks) bytes += writeSync(file, chunk);
  closeSync(file);
  return bytes;
}

/** Through a stream, as QEMU's socket is one; the stream is read as fast as the console lets it. */
async function feed(chunks, { detectors, screen }) {
  const channel = new Channel('ttyS0');
  const console_ = new Console(channel);
  const transcript = new FileTranscript(join(directory, `log-${Math.random()}`));
  console_.setTranscript(transcript);
  const kernel = createKernelLogDetector();
  const shutdown = createShutdownDetector();
  if (detectors) {
    console_.onBytes((chunk) => {
      kernel.push(chunk, performance.now());
      shutdown.console(chunk, performance.now());
    });
  }
  const terminal = screen ? console_.screen : undefined;
  let next = 0;
  const ended = new Promise((resolve) => channel.onEnd(resolve));
  channel.attach(
    new Duplex({
      read() {
        this.push(chunks[next] ?? null);
        next += 1;
      },
      write: (_chunk, _encoding, done) => done(),
    }),
  );
  await ended;
  if (terminal) await new Promise((resolve) => terminal.whenIdle(resolve));
  const { bytes } = transcript;
  console_.close();
  transcript.close();
  rmSync(transcript.path);
  return bytes;
}

function best(task) {
  return Math.max(
    ...Array.from({ length: RUNS }, () => {
      const begun = performance.now();
      return task() / 1e3 / (performance.now() - begun);
    }),
  );
}

async function bestOf(task) {
  let fastest = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const begun = performance.now();
    const bytes = await task();
    fastest = Math.max(fastest, bytes / 1e3 / (performance.now() - begun));
  }
  return fastest;
}

async function roundTrips() {
  const vm = await boot(debian());
  try {
    const measure = async (count, task) => {
      for (let i = 0; i < 10; i += 1) await task();
      const times = [];
      for (let i = 0; i < count; i += 1) {
        const begun = performance.now();
        await task();
        times.push(performance.now() - begun);
      }
      times.sort((one, other) => one - other);
      return [0.5, 0.95].map((part) => times[Math.floor(count * part)]);
    };
    const ping = await measure(EXECS, () => vm.shell.ping());
    const builtin = await measure(EXECS, () => vm.exec('echo x'));
    const program = await measure(50, () => vm.exec('/bin/true'));
    const agent = await measure(20, () => vm.exec('echo x', { via: 'guest-agent' }));
    const serial = await measure(10, () => vm.exec('echo x', { via: 'serial' }));
    const row = (name, values) => [name, ...values.map((value) => value.toFixed(1))];
    return {
      p50: builtin[0],
      rows: [
        row('the floor: a line to the shell on hvc0 and back', ping),
        row('`echo` over hvc0', builtin),
        row('`/bin/true` over hvc0', program),
        row('`echo` over the guest agent', agent),
        row('`echo` over the serial console', serial),
      ],
    };
  } finally {
    await vm.close();
  }
}

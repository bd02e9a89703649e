// Speed of the QMP client on a real QEMU, beside a bare socket and Debian's python3-qemu-qmp, in turns within one run:
//   node bench/qmp/qmp.mjs [--check]     (build first). With --check it fails outside of the bounds.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { connect, QmpClient } from '../../packages/core/dist/qmp/index.js';
import { reportBounds } from '../bounds.mjs';

const ROUNDS = 5;
const SEQUENTIAL = 2_000;
const PIPELINED = 8_000;
/** How many calls are made at once, by either client; what QEMU takes at once is 8. */
const BATCH = 100;
const EVENTS = 100_000;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'qmpilot-bench-'));
const python = pythonPath();

const rows = [];
const socket = join(directory, 'qmp.sock');
const qemu = spawn(
  'qemu-system-x86_64',
  ['-machine', 'none', '-nodefaults', '-display', 'none', '-S', '-qmp', `unix:${socket},server=on,wait=off`],
  { stdio: 'inherit' },
);
try {
  await (await connect({ path: socket }, { retry: true })).close();
  const raw = [];
  const own = [];
  const theirs = [];
  // In turns, so that whatever else the machine does meets all three alike.
  for (let round = 0; round < ROUNDS; round++) {
    raw.push(await rawRoundTrips());
    own.push(await ownClient());
    theirs.push(pythonClient());
  }
  const p50 = (runs) => median(runs.flatMap(({ times }) => times));
  const p99 = (runs) =>
    quantile(
      runs.flatMap(({ times }) => times),
      0.99,
    );
  const rate = (runs) => median(runs.map((run) => run.rate));
  rows.push([
    'query-status, one after the other: p50 (p99), us',
    ...[own, raw, theirs].map((runs) => `${p50(runs).toFixed(0)} (${p99(runs).toFixed(0)})`),
  ]);
  rows.push([
    'query-status, 100 at a time (bare socket: 8 in flight): commands per second',
    rate(own).toFixed(0),
    rate(raw).toFixed(0),
    rate(theirs).toFixed(0),
  ]);
  const parsing = await schemaParsing();
  rows.push([
    `query-qmp-schema's answer (${parsing.kilobytes} KB): ms from bytes to value`,
    parsing.client.toFixed(2),
    `${parsing.parse.toFixed(2)} (JSON.parse of the text)`,
    '',
  ]);
  const burst = await eventBurst();
  rows.push([`${EVENTS} events to three listeners: events per second`, burst.rate.toFixed(0), '', '']);
  rows.push([
    '... events lost; most that waited for a reader; heap growth, MB',
    `${burst.lost}; ${burst.waiting}; ${burst.heap.toFixed(0)}`,
    '',
    '',
  ]);
  console.log('| | qmpilot | bare socket | python3-qemu-qmp |\n|---|---:|---:|---:|');
  for (const row of rows) console.log(`| ${row.join(' | ')} |`);
  const bounds = [
    ['round trip against a bare socket', p50(own) / p50(raw), '<=', 1.3],
    ['round trip, Python against qmpilot', p50(theirs) / p50(own), '>=', 1.5],
    ['commands per second against Python', rate(own) / rate(theirs), '>=', 3],
    ['commands per second against a bare socket', rate(own) / rate(raw), '>=', 0.8],
    ['parsing against JSON.parse', parsing.client / parsing.parse, '<=', 1.2],
    ['events lost', burst.lost, '<=', 0],
  ];
  reportBounds(bounds);
} finally {
  qemu.kill();
  rmSync(directory, { recursive: true });
}

async function rawRoundTrips() {
  const link = createConnection({ path: socket });
  await once(link, 'data');
  const ask = (text) =>
    new Promise((resolve) => {
      const onData = (chunk) => {
        if (chunk[chunk.length - 1] !== 10) return;
        link.off('data', onData);
        resolve();
      };
      link.on('data', onData);
      link.write(text);
    });
  await ask('{"execute":"qmp_capabilities","arguments":{"enable":["oob"]},"id":1}\r\n');
  const result = await sequential((id) => ask(`{"execute":"query-status","id":${id}}\r\n`));
  const rate = await rawPipeline(link);
  link.destroy();
  return { ...result, rate };
}

/** How many commands a second QEMU itself works off: 8 in flight, and nothing done with the answers but counting them. */
async function rawPipeline(link) {
  const text = '{"execute":"query-status","id":12345}\r\n';
  let sent = 8;
  let answered = 0;
  const started = performance.now();
  await new Promise((resolve) => {
    link.on('data', (chunk) => {
      let count = 0;
      for (const byte of chunk) if (byte === 10) count++;
      answered += count;
      const more = Math.min(count, PIPELINED - sent);
      sent += more;
      if (more > 0) link.write(text.repeat(more));
      if (answered >= PIPELINED) resolve();
    });
    link.write(text.repeat(sent));
  });
  return PIPELINED / ((performance.now() - started) / 1000);
}

async function ownClient() {
  const client = await connect({ path: socket });
  const { times } = await sequential(() => client.execute('query-status'));
  const started = performance.now();
  for (let done = 0; done < PIPELINED; done += BATCH)
    await Promise.all(Array.from({ length: BATCH }, () => client.execute('query-status')));
  const rate = PIPELINED / ((performance.now() - started) / 1000);
  await client.close();
  return { times, rate };
}

async function sequential(call) {
  for (let i = 0; i < SEQUENTIAL / 10; i++) await call(i);
  const times = [];
  for (let i = 0; i < SEQUENTIAL; i++) {
    const started = performance.now();
    await call(i);
    times.push((performance.now() - started) * 1000);
  }
  return { times };
}

function pythonClient() {
  const env = { ...process.env, PYTHONPATH: python };
  return JSON.parse(
    execFileSync('python3', [here('client.py'), socket, SEQUENTIAL, PIPELINED, BATCH].map(String), {
      env,
      encoding: 'utf8',
    }),
  );
}

/** The client's way from the bytes of the answer, as they come from the socket, to the value; against JSON.parse of the text. */
async function schemaParsing() {
  const client = await connect({ path: socket });
  const value = await client.execute('query-qmp-schema');
  await client.close();
  const { stream, far, id } = await offline();
  const head = `{"return":${JSON.stringify(value)},"id":`;
  const text = `${head}0}`;
  const bytes = Buffer.from(head);
  const parse = [];
  const whole = [];
  for (let run = 0; run < 220; run++) {
    const call = stream.executeUntyped('query-qmp-schema');
    const tail = Buffer.from(`${await id()}}\r\n`);
    let started = performance.now();
    JSON.parse(text);
    parse.push(performance.now() - started);
    started = performance.now();
    // As the kernel hands them over.
    for (let at = 0; at < bytes.length; at += 65_536) far.write(bytes.subarray(at, at + 65_536));
    far.write(tail);
    await call;
    whole.push(performance.now() - started);
  }
  await stream.close();
  return { kilobytes: Math.round(text.length / 1000), parse: median(parse.slice(20)), client: median(whole.slice(20)) };
}

async function eventBurst() {
  const { stream: client, far } = await offline();
  const readers = ['one', 'two', 'three'].map(() => client.events());
  let waiting = 0;
  const counts = readers.map(async (reader) => {
    let count = 0;
    for await (const event of reader) {
      if (event.data.n !== count) throw new Error(`event ${event.data.n} came as number ${count}`);
      count++;
      waiting = Math.max(waiting, reader.length);
      if (count === EVENTS) break;
    }
    return count;
  });
  const lines = Array.from(
    { length: EVENTS },
    (_, n) => `{"timestamp": {"seconds": 1, "microseconds": ${n}}, "event": "RTC_CHANGE", "data": {"n": ${n}}}\r\n`,
  );
  const bytes = Buffer.from(lines.join(''));
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const started = performance.now();
  for (let at = 0; at < bytes.length; at += 65_536) {
    if (!far.write(bytes.subarray(at, at + 65_536))) await once(far, 'drain');
  }
  const seen = await Promise.all(counts);
  const seconds = (performance.now() - started) / 1000;
  const heap = (process.memoryUsage().heapUsed - before) / 1e6;
  await client.close();
  return { rate: EVENTS / seconds, lost: seen.reduce((sum, count) => sum + EVENTS - count, 0), waiting, heap };
}

/** A session without QEMU, over a pair of streams in memory. */
async function offline() {
  const [near, far] = duplexPair();
  const asked = [];
  let wake = () => {};
  far.on('data', (chunk) => {
    for (const line of String(chunk).trim().split('\n')) asked.push(JSON.parse(line).id);
    wake();
  });
  const id = async () => {
    while (asked.length === 0) await new Promise((resolve) => (wake = resolve));
    return asked.shift();
  };
  far.write(
    '{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}, "capabilities": []}}\r\n',
  );
  const connecting = QmpClient.fromStream(near);
  far.write(`{"return": {}, "id": ${await id()}}\r\n`);
  return { stream: await connecting, far, id };
}

/** Debian's own package, unpacked into the cache; bookworm has none, so it is sid's. */
function pythonPath() {
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'qmpilot', 'python3-qemu-qmp');
  const path = join(folder, 'usr', 'lib', 'python3', 'dist-packages');
  if (!existsSync(path))
    execFileSync('sh', [here('../../tools/debian/unpack.sh'), 'sid', folder, '--alone', 'python3-qemu-qmp'], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  return path;
}

function median(values) {
  return quantile(values, 0.5);
}

function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

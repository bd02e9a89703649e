import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { createKernelLogDetector, createShutdownDetector, defineScenario, formatShutdown, isQmpilotError, judgeShutdown, parseBlockedTasks, parseDuration, parseGdbBacktrace, parseThreadSample, scan } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Channel } from '../../packages/core/src/console/channel.js';
import { Console } from '../../packages/core/src/console/console.js';
import { duplexPair } from '../../packages/core/src/console/duplex-pair.fixture.js';
import { parseAttempts } from '../../packages/core/src/records/attempts-file.js';
import { parseRunFile, parseShard } from '../../packages/core/src/records/run-file.js';
import { renderHtml } from '../../packages/core/src/report/html/page.js';
import { renderMarkdown } from '../../packages/core/src/report/markdown.js';
import { parseAttemptLines, parseRunDescription } from '../../packages/core/src/report/parse-run.js';
import { reportData } from '../../packages/core/src/report/report-data.js';
import { toJUnit } from '../../packages/core/src/repro/ci/junit.js';
import { GuestAgent } from '../../packages/core/src/qmp/guest-agent/guest-agent.js';
import { AgentShell } from '../../packages/core/src/shell/agent-shell.js';
import { FrameReader } from '../../packages/core/src/shell/frames.js';
import { readManifest } from '../../packages/core/src/snapshot/kept/manifest.js';
import { parseRateGoal } from '../../packages/core/src/statistics/rate-goal.js';
import { Extraction } from '../../packages/core/src/vm/copy/extract.js';
import { guestOf } from '../../packages/core/src/vm/guest-record.js';

/** Of each test: `pnpm test:fuzz --time 10m`. */
const TIME_MS = parseDuration(process.env['QMPILOT_FUZZ_TIME'] ?? '1s');
const parameters = { numRuns: Infinity, interruptAfterTimeLimit: TIME_MS, markInterruptAsFailure: false };
const LIMIT = TIME_MS + 60_000;

/** Lines that mean something to the parsers, with marks that end, cut or hide them, and noise. */
const WORDS = [
  '[    1.234567] ', '<3>[   12.000001] ', '[    1.234567][  T123] ', 'INFO: task npm ci:888 blocked for more than 122 seconds.', 'BUG: kernel NULL pointer dereference, address: 0000000000000008',
  'Kernel panic - not syncing: Fatal exception', '---[ end trace 0000000000000000 ]---', 'Call Trace:', ' <TASK>', ' ? __mutex_lock+0x1a/0x2b0', ' schedule+0x5e/0xd0', 'RIP: 0010:f+0x1/0x2', 'CPU: 1 PID: 12 Comm: ',
  'watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [a b:12]', 'rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:', 'Out of memory: Killed process 12 (a b)', 'task:npm ci state:D stack:0 pid:888 ppid:1 flags:0x0',
  '\u001b[K[   \u001b[0;31m*\u001b[0m     ] A stop job is running for User Manager for UID 0 (14s / 2min)', '(2min 10s / 4min)', 'Job session-1.scope/stop running (52s / 1min 30s)', 'Reached target ', 'poweroff.target',
  'systemd-shutdown[1]: Sending SIGKILL to remaining processes...', 'Waiting for process: 12 (a b)', 'reboot: Power down', 'Powering off.', '\r', '\n', '\r\n', '\u001bM', '\u001b[', '\u001b[2;5H', '\u001b]0;t', '\u0007', '\0', '\ud800', 'ß€😀', '(', '[', '9'.repeat(400), ' '.repeat(300),
  '\u001b[2147483647b', '\u001b[2147483647S', '\u001b[99999;99999H', '\u001b]8;;http://x\u0007', '\u001bP', '\u001bc', '\u001b[?1049h', '\u001b[2J', '\u001b[r', '\u009b', '\u0301',
];
const words = fc.array(fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...WORDS) }, { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) }), { maxLength: 60 }).map((all) => all.join(''));

const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url));
/** Consoles that were captured: what the parsers are made for, and words of their own do not come near. */
const captured = ['console', 'kernel-log/captured', 'kernel-log/written'].flatMap((folder) =>
  readdirSync(join(FIXTURES, folder), { withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => readFileSync(join(FIXTURES, folder, entry.name), 'latin1').split('\n')),
);
/** Some lines of one of them, of which a few are gone, come twice, are cut off, or have something else in them. */
const damagedLog = fc
  .tuple(fc.constantFrom(...captured), fc.nat(), fc.integer({ min: 1, max: 60 }), fc.array(fc.tuple(fc.nat(), fc.nat(200), fc.constantFrom('drop', 'twice', 'cut', 'put') , fc.constantFrom(...WORDS)), { maxLength: 4 }))
  .map(([all, from, many, changes]) => {
    const lines = all.slice(from % all.length, (from % all.length) + many);
    for (const [which, at, change, word] of changes) {
      const index = which % Math.max(1, lines.length);
      const line = lines[index] ?? '';
      if (change === 'put') lines[index] = line.slice(0, at) + word + line.slice(at);
      else lines.splice(index, 1, ...(change === 'drop' ? [] : change === 'twice' ? [line, line] : [line.slice(0, at)]));
    }
    return lines.join('\n');
  });
const guestText = fc.oneof(words, damagedLog);
const cuts = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 8 });

function pieces(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const result = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    result.push(bytes.subarray(at, at + size));
    at += size;
  }
  return result;
}

/** Anything but an error of the family is a defect. */
function onlyFamily(task: () => unknown): void {
  try {
    task();
  } catch (error) {
    if (!isQmpilotError(error)) throw error;
  }
}

/** What ends a script, an attribute, a code span, a path, an option. */
const EVIL = ['</script><script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "' onload='alert(1)", '``` @all', ']]>', '\u202e\u001b]0;t\u0007', '../../x', '/etc/passwd', 'a,b=c', 'a\0b', '__proto__', -1, 1e308, Number.MAX_SAFE_INTEGER, ''];

/** A value as it should be, with parts of it exchanged for anything. */
function damaged(value: unknown): fc.Arbitrary<unknown> {
  return fc.array(fc.tuple(fc.nat(), fc.oneof(fc.constantFrom(...EVIL), fc.jsonValue())), { maxLength: 3 }).map((changes) => changes.reduce<unknown>((now, [place, other]) => replaceAt(now, { left: place % (1 + count(now)) }, other), value));
}

function count(value: unknown): number {
  return typeof value === 'object' && value !== null ? Object.values(value).reduce((sum: number, one) => sum + 1 + count(one), 0) : 0;
}

function replaceAt(value: unknown, at: { left: number }, other: unknown): unknown {
  if (at.left-- === 0) return other;
  if (Array.isArray(value)) return value.map((one) => replaceAt(one, at, other));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, replaceAt(one, at, other)]));
}

describe('whatever a guest prints', () => {
  it('the kernel log gives the same findings however it is cut, each of limited size', () => {
    fc.assert(
      fc.property(guestText, cuts, (text, sizes) => {
        const bytes = Buffer.from(text);
        const detector = createKernelLogDetector();
        const found = [...pieces(bytes, sizes).flatMap((piece) => detector.push(piece, 0)), ...detector.end(0)];
        expect(found.map(({ title }) => title)).toEqual(scan(bytes).map(({ title }) => title));
        for (const { title, evidence } of found) expect(title.length + evidence.join('').length).toBeLessThan(1 << 20);
        parseBlockedTasks(text);
      }),
      parameters,
    );
  }, LIMIT);

  it('a shutdown is followed to a report with a verdict', () => {
    const step = fc.oneof(
      guestText.map((text) => ({ text })),
      fc.record({ event: fc.constantFrom('POWERDOWN', 'SHUTDOWN', 'RESET', 'GUEST_PANICKED', 'STOP'), data: fc.dictionary(fc.constantFrom('guest', 'reason', 'action', '__proto__'), fc.jsonValue()) }),
      guestText.map((jobs) => ({ jobs })),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), cuts, (steps, sizes) => {
        const detector = createShutdownDetector();
        detector.requested(0);
        steps.forEach((one, index) => {
          if ('text' in one) for (const piece of pieces(Buffer.from(one.text), sizes)) detector.console(piece, index);
          else if ('jobs' in one) {
            detector.jobs(one.jobs, index);
            detector.units(one.jobs);
          } else detector.qmpEvent(one.event, one.data, index);
        });
        const report = detector.report(steps.length);
        const judgement = judgeShutdown(report, { wanted: 'poweroff', slowAfterMs: 10 });
        expect(typeof formatShutdown({ ...report, ...judgement, wanted: 'poweroff' })).toBe('string');
        expect(detector.finding(steps.length).elapsed).toBeGreaterThanOrEqual(0);
      }),
      parameters,
    );
  }, LIMIT);

  it('a console has the same lines however they are cut, expects what is in them, and draws them', async () => {
    await fc.assert(
      fc.asyncProperty(guestText, cuts, async (text, sizes) => {
        const console = async (sized: readonly number[]) => {
          const [near, far] = duplexPair();
          const channel = new Channel('fuzz');
          const result = new Console(channel);
          channel.attach(near);
          for (const piece of pieces(Buffer.from(text), sized)) far.write(piece);
          far.end('\u001b\\\n\nthe end\n');
          await result.expect('the end', { timeout: '10s' });
          return result;
        };
        const [one, other] = [await console(sizes), await console([1 << 20])];
        expect(one.lines()).toEqual(other.lines());
        const line = other.lines().find((candidate) => candidate.trim() !== '') ?? 'the end';
        await one.expect(line, { from: 0, timeout: '10s' });
        await expect(one.expect('this is nowhere', { from: 0, timeout: '10s' })).rejects.toSatisfy((error) => isQmpilotError(error, 'CONSOLE_CLOSED'));
        expect(one.screen.text().length).toBeLessThan(1 << 16);
        for (const each of [one, other]) each.close();
      }),
      parameters,
    );
  }, LIMIT);

  it('samples of threads and stacks are read as far as they can be', () => {
    fc.assert(
      fc.property(fc.oneof(guestText, fc.string({ unit: 'binary' })), (text) => {
        parseThreadSample(text);
        parseGdbBacktrace(text);
      }),
      parameters,
    );
  }, LIMIT);
});

/** The entries of an archive that a guest may send, and the names they have. */
const NAMES = ['.', './', 'a', 'a/x', 'a/', 'a/b', './a/b', 'A', '../x', '/etc/x', 'a/../../x', 'b', 'b/c/d', 'é', 'e\u0301', 'n'.repeat(300), 'a\nb', ' ', '-rf', 'd/'.repeat(40)];
const entry = fc.record({
  name: fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...NAMES) }, { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) }),
  type: fc.constantFrom('file', 'directory', 'symlink', 'symlink', 'symlink', 'link', 'fifo', 'block-device', 'contiguous-file', undefined),
  linkname: fc.constantFrom('', ...NAMES, '..', '../..', 'b/..', 'b/../..', '../b/../../x'),
  mode: fc.integer({ min: 0, max: 0o7777 }), mtime: fc.constantFrom(new Date(0), new Date(NaN), undefined),
});

describe('whatever archive a guest sends', () => {
  it('brings an error of the family, or files, folders and links that lead nowhere but into the folder', async () => {
    const root = mkdtempSync(join(tmpdir(), 'qmpilot-fuzz-'));
    let round = 0;
    const empty = async function* (text: string) { yield Buffer.from(text); };
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(entry, { maxLength: 8 }), async (entries) => {
          const folder = join(root, String(round += 1), 'deep', 'er');
          mkdirSync(folder, { recursive: true });
          const extraction = new Extraction(folder);
          try {
            for (const one of entries) await extraction.add(one as never, empty('x'));
            await extraction.end();
          } catch (error) {
            if (!isQmpilotError(error, 'COPY_FAILED')) throw error;
          }
          // Made by the links: from each, on and on, no way leads out.
          for (const found of readdirSync(folder, { withFileTypes: true, recursive: true })) {
            const path = join(found.parentPath, found.name);
            if (found.isSymbolicLink() && existsSync(path)) expect(`${realpathSync(path)}/`.startsWith(`${realpathSync(folder)}/`)).toBe(true);
            expect(found.isFile() || found.isDirectory() || found.isSymbolicLink()).toBe(true);
          }
          expect(readdirSync(join(root, String(round), 'deep'))).toEqual(['er']);
          rmSync(join(root, String(round)), { recursive: true, force: true });
        }),
        parameters,
      );
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }, LIMIT);
});

describe('whatever answers in place of the shell of a guest', () => {
  const NONCE = '0123456789abcdef';
  it('is taken apart into the same bytes and marks however it is cut', () => {
    const parts = fc.array(fc.oneof(
      fc.tuple(fc.constantFrom('B', 'O', 'X', 'e', '\n'), fc.nat(40)).map(([letter, length]) => `\x01${letter}${NONCE}${length}:${'p'.repeat(length)}`),
      fc.constantFrom(NONCE, `\x01X${NONCE}`, `\x01X${NONCE}99999:`, `\x01X${NONCE}123456:`, `\x01X${NONCE}-1:`, `${NONCE}${NONCE}`, NONCE.slice(0, 9), '\x01', '\x01\x01', '7', ':'),
      fc.string({ unit: 'binary', maxLength: 20 }),
    ), { maxLength: 20 });
    fc.assert(
      fc.property(parts, cuts, (all, sizes) => {
        const read = (chunks: readonly Uint8Array[]) => {
          const heard: string[] = [];
          const reader = new FrameReader(NONCE, (bytes) => {
            const text = bytes.toString('latin1');
            if (heard.at(-1)?.startsWith('bytes ')) heard.push(`${heard.pop() ?? ''}${text}`);
            else heard.push(`bytes ${text}`);
          }, ({ letter, payload }) => heard.push(`mark ${letter} ${payload.toString('latin1')}`));
          for (const chunk of chunks) reader.push(Buffer.from(chunk));
          // So that what is held back comes.
          reader.push(Buffer.from('.'.repeat(40)));
          return heard;
        };
        const bytes = Buffer.from(all.join(''));
        expect(read(pieces(bytes, sizes)).join('|')).toBe(read([bytes]).join('|'));
      }),
      parameters,
    );
  }, LIMIT);
});

describe('whatever answers in place of the guest agent', () => {
  it('gives a result, or an error of the family', async () => {
    const base64 = fc.oneof(fc.constantFrom('/run\n/bin/sh\n\n', '0\n', '0\nout', '7 spooled\n', '999\n').map((text) => Buffer.from(text).toString('base64')), fc.jsonValue());
    const status = fc.record({ exited: fc.oneof({ weight: 6, arbitrary: fc.constant(true) }, fc.jsonValue()), 'out-data': base64, 'err-data': base64 }, { requiredKeys: [] });
    const answer = fc.oneof({ weight: 3, arbitrary: status }, fc.record({ pid: fc.oneof(fc.nat(), fc.jsonValue()) }), fc.record({ 'buf-b64': base64, count: fc.oneof(fc.nat(), fc.jsonValue()) }), fc.jsonValue());
    await fc.assert(
      fc.asyncProperty(fc.array(answer, { maxLength: 12 }), async (answers) => {
        const [near, far] = duplexPair();
        let [rest, turn] = ['', 0];
        far.on('data', (chunk: Buffer) => {
          const lines = (rest + chunk.toString('latin1').replaceAll('\xff', '')).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines.filter((text) => text.trim() !== '')) {
            const { execute, id }: { readonly execute: string; readonly id: number } = JSON.parse(line);
            const usual = execute === 'guest-exec' ? { pid: 1 } : { exited: true, 'out-data': Buffer.from('/run\n/bin/sh\n\n').toString('base64') };
            if (execute !== 'guest-sync-delimited') turn += 1;
            if (turn > answers.length + 2) far.destroy();
            else far.write(`${JSON.stringify({ return: execute === 'guest-sync-delimited' ? id : turn <= 2 ? usual : (answers[turn - 3] ?? null), id })}\n`);
          }
        });
        const shell = new AgentShell(GuestAgent.fromStream(near));
        try {
          const { exitCode } = await shell.exec('true', { timeout: 5000 });
          expect(exitCode >= 0 && exitCode <= 255).toBe(true);
        } catch (error) {
          if (!isQmpilotError(error)) throw error;
        }
        near.destroy();
      }),
      parameters,
    );
  }, LIMIT);
});

const RUN = {
  v: 1, name: 'x', startedAt: '2026-01-01T00:00:00.000Z', seed: 1, attempts: 9, shard: { index: 1, count: 2 }, timeoutMs: 1, until: 'rate<0.01@95%', source: { file: 'f', sha256: 's' }, environment: { qmpilot: '1', node: '20' },
  facts: { qemu: { path: 'q', version: '7.2' }, accelerator: { accelerator: 'tcg', reason: 'r' }, machine: 'q35', cpus: 1, memoryMiB: 1, guest: { name: 'g', key: 'k' }, commandLine: ['q'] },
  sessions: [{ startedAt: '2026-01-01T00:00:00.000Z', pid: 1, forks: 1, end: 'finished' }],
};
const RECORD = {
  v: 1, type: 'attempt', index: 1, outcome: 'reproduced', reason: 'r', startedAt: '2026-01-01T00:00:00.000Z', ms: 5, restoreMs: 1, timeToFailureMs: 2, seed: 1, fork: 1,
  findings: [{ kind: 'hung-task', severity: 'error', title: 't', signature: 's', at: 2, evidence: ['e'], times: 1, task: { comm: 'c', pid: 1 }, stack: [{ function: 'f', raw: 'f' }] }],
};

describe('whatever is in a run directory', () => {
  it('is read with an error of the family at most, and reported without a script of its own', () => {
    const lines = fc.array(damaged(RECORD), { maxLength: 4 }).map((records) => records.map((record) => JSON.stringify(record)).join('\n'));
    fc.assert(
      fc.property(damaged(RUN), fc.oneof(lines, fc.string({ unit: 'binary' })), (run, text) => {
        const [json, bytes] = [JSON.stringify(run) ?? '', Buffer.from(`${text}\n`)];
        onlyFamily(() => {
          const file = parseRunFile(json, 'run.json');
          toJUnit(file, parseAttempts(bytes, 'attempts.jsonl').records);
        });
        const input = {
          label: 'l', dir: '/d', run: parseRunDescription(json, 'x'), attempts: parseAttemptLines(text).attempts, evidence: new Map(), folder: () => 'a/', notes: [],
        };
        const page = renderHtml([input], { script: '', style: '' });
        expect(page.match(/<script/g)?.length ?? 0).toBeLessThanOrEqual(2);
        expect(page).not.toMatch(/<img|<script>alert|onerror=alert\(1\)>|[\u202e\u001b]/);
        expect(renderMarkdown(input)).not.toMatch(/[\u202e\u001b]/);
        JSON.stringify(reportData([input]));
      }),
      parameters,
    );
  }, LIMIT);
});

describe('whatever a user writes', () => {
  it('in a scenario, a duration, a shard or a goal is taken or refused by an error of the family', () => {
    const scenario = fc.oneof(fc.anything(), fc.record({ guest: fc.oneof(fc.constant({ prepare: () => {} }), fc.anything()), attempt: fc.oneof(fc.func(fc.anything()), fc.anything()), prepare: fc.anything() }, { requiredKeys: [] }));
    const text = fc.oneof(fc.string(), fc.array(fc.constantFrom('1', '9', '0', '.', '-', '/', 's', 'm', 'ms', 'h', 'rate', '<', '>', '@', '%', 'e', ' ', 'Infinity'), { maxLength: 10 }).map((parts) => parts.join('')));
    fc.assert(
      fc.property(scenario, text, fc.double(), (given, word, number) => {
        onlyFamily(() => defineScenario(given as never));
        onlyFamily(() => expect(parseDuration(word)).toBeGreaterThanOrEqual(0));
        onlyFamily(() => expect(parseDuration(number)).toBeGreaterThanOrEqual(0));
        onlyFamily(() => {
          const { index, count: shards } = parseShard(word);
          expect(index).toBeLessThanOrEqual(shards);
        });
        onlyFamily(() => {
          const { rate } = parseRateGoal(word);
          expect(rate > 0 && rate < 1).toBe(true);
        });
      }),
      parameters,
    );
  }, LIMIT);
});

const MANIFEST = {
  v: 1, name: 'ready', strategy: 'template', reason: 'r', savedAt: '2026-01-01T00:00:00.000Z', pausedMs: 1, qemu: '7.2.0', machineType: 'pc-q35-7.2', accelerator: { accelerator: 'tcg', reason: 'r' }, hostFlags: [], mappedRam: false,
  spec: { accelerator: 'tcg', machine: 'q35', cpu: 'max', cpus: 1, memoryMiB: 128, ram: { kind: 'file', path: 'ram', share: false }, disks: [{ id: 'disk', file: 'disk.qcow2', format: 'qcow2' }], virtioConsoles: [], network: 'none', extra: [] },
  guest: { name: 'tiny', key: 'k', disks: [], virtioConsoles: [], login: { source: 'x', flags: '' }, network: 'none', cpus: 1, memoryMiB: 1 },
  files: [{ name: 'state', bytes: 3 }, { name: 'ram', bytes: 3 }], bases: [{ path: '/nowhere', bytes: 1, mtimeMs: 1, sha256: 's' }],
};

describe('whatever is in the folder of a kept snapshot', () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'qmpilot-fuzz-'));
    for (const name of ['state', 'ram']) writeFileSync(join(dir, name), 'abc');
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  it('is refused by an error of the family, or names no file outside of it', async () => {
    const text = fc.oneof({ weight: 5, arbitrary: damaged(MANIFEST).map((value) => JSON.stringify(value)) }, { weight: 1, arbitrary: fc.string() });
    await fc.assert(
      fc.asyncProperty(text, async (manifest) => {
        writeFileSync(join(dir, 'manifest.json'), manifest);
        try {
          const read = await readManifest(dir);
          for (const { name } of read.files) expect(name).toMatch(/^[\w.-]+$/);
          for (const { file, readOnly } of read.spec.disks) expect(readOnly === true || !file.includes('/')).toBe(true);
          guestOf(read.guest);
        } catch (error) {
          if (!isQmpilotError(error, 'SNAPSHOT')) throw error;
        }
      }),
      parameters,
    );
  }, LIMIT);
});

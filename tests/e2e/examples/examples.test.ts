import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAGES } from '../../support/own-bug-example.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const EXAMPLES = join(ROOT, 'examples');
const JITI = join(ROOT, 'packages/cli/node_modules/jiti/lib/jiti-cli.mjs');
const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');
const tour = readFileSync(join(EXAMPLES, 'api-tour.ts'), 'utf8');

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-examples-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, in pieces as they came. */
  readonly all: string;
}

function node(args: readonly string[], cwd = dir): Promise<Result> {
  const { VITEST: _inside, VITEST_WORKER_ID: _worker, VITEST_POOL_ID: _pool, ...rest } = process.env;
  // Booting is tested elsewhere.
  const env = { ...rest, QMPILOT_BOOT_CACHE: '1' };
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr, all] = ['', '', ''];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      all += text;
      if (stream === child.stdout) stdout += text;
      else stderr += text;
    });
  }
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr, all })));
}

const example = (file: string, ...args: readonly string[]) => node([JITI, join(EXAMPLES, file), ...args]);

it('the tour of the API in the documentation is the one in examples/', () => {
  expect(readFileSync(join(ROOT, 'docs/api-tour.md'), 'utf8')).toContain(`\`\`\`ts\n${tour}\`\`\``);
});

it('each example has its line in examples/README.md', () => {
  const named = new Set(
    [...readFileSync(join(EXAMPLES, 'README.md'), 'utf8').matchAll(/^\| \[.*?\]\(([\w-]+)/gm)].map(([, name]) => name),
  );
  const there = readdirSync(EXAMPLES).filter(
    (name) => name !== 'node_modules' && name !== 'package.json' && name !== 'README.md',
  );
  expect(named).toEqual(new Set(there.map((name) => name.replace(/\.ts$/, ''))));
});

describe.concurrent('each example runs, and prints what it says', () => {
  it('stacks.ts', async () => {
    const { code, stdout, all } = await example('stacks.ts');
    expect(all).toMatch(/^#0 [^]*^#\d+ node::Start\(.*\n[^]*^#\d+ _start$/m);
    expect(stdout).toMatch(/^node \(\w\): kernel .+, user .+$/m);
    expect(stdout).toMatch(/^node \(S\): kernel do_epoll_wait, user epoll_pwait$/m);
    expect(code).toBe(0);
  });

  it('api-tour.ts', async () => {
    const { code, stdout } = await example('api-tour.ts');
    expect(stdout).toMatch(
      /^kernel 6\.1\.\S+, exit code 3\n42 is the answer\nstate: before\nfound: kernel panic: sysrq triggered crash\npoweroff: (?:clean|slow): the machine powered off[^]*\n +\d+\.\d s  gone        QEMU is gone\n[^]*QMP sent SHUTDOWN \(guest-shutdown\)/,
    );
    expect(code).toBe(0);
  });

  it('poweroff-check: the service that ignores SIGTERM is named, the other one passes', async () => {
    const { code, stdout, all } = await example(
      'poweroff-check/check.ts',
      join(EXAMPLES, 'poweroff-check/fine.service'),
      join(EXAMPLES, 'poweroff-check/stalls.service'),
    );
    expect(all).toMatch(/^fine\.service: poweroff: clean: the machine powered off within /);
    expect(stdout).toMatch(
      /^stalls\.service: poweroff: stalled: .* systemd still waits for stalls\.service \(A service that ignores SIGTERM\)[^]*left in it: sh \(\d+\)/m,
    );
    expect(code).toBe(1);
  });

  it('vitest', async () => {
    const { code, all } = await node([VITEST, 'run', '--root', '.', '--no-color'], join(EXAMPLES, 'vitest'));
    expect(all).toMatch(/Tests +4 passed \(4\)/);
    expect(code).toBe(0);
  });

  it('snapshot-retries.ts: some attempts lose a count, and all are counted', async () => {
    const { code, stdout, all } = await example('snapshot-retries.ts', '8');
    expect(all).toMatch(/^attempt 8: /m);
    const [, lost, share, low, high] = (
      /^lost in (\d+) of 8 attempts: (\d+) %, with 95 % confidence between (\d+) % and (\d+) %$/m.exec(stdout) ?? []
    ).map(Number);
    expect(stdout.match(/: a count was lost/g) ?? []).toHaveLength(lost ?? -1);
    expect(share).toBe(Math.round((100 * (lost ?? 0)) / 8));
    expect(low).toBeLessThanOrEqual(share ?? -1);
    expect(high).toBeGreaterThanOrEqual(share ?? 0);
    expect(code).toBe(0);
  });

  it('your-own-bug/check.ts: the port is served before and after a snapshot, a restore and a fork', async () => {
    const { code, stdout } = await example('your-own-bug/check.ts');
    expect(stdout).toMatch(/^\/dev\/vdb +ext4, Linux 6\.12\.\S+\n/);
    expect(stdout.split('\n').slice(1, -1)).toEqual(PAGES);
    expect(code).toBe(0);
  });

  it('quick-start.ts', async () => {
    const { code, stdout } = await example('quick-start.ts');
    expect(stdout).toMatch(
      /^Debian GNU\/Linux 12 \(bookworm\), up for \d+\.\d\d s \(exit code 0\)\npoweroff: (?:clean|slow): the machine powered off/,
    );
    expect(code).toBe(0);
  });

  it('custom-script.ts: shows the output, brings the results back, and ends with the script’s exit code', async () => {
    writeFileSync(
      join(dir, 'job.sh'),
      '#!/bin/sh\necho "a $(uname -s) in a guest"\necho warning >&2\necho 42 > out/result\nexit 7\n',
    );
    const { code, stdout, stderr } = await example('custom-script.ts', 'job.sh', 'brought');
    expect(stdout).toBe('a Linux in a guest\n');
    expect(stderr).toMatch(/^warning$/m);
    expect(readFileSync(join(dir, 'brought/result'), 'utf8')).toBe('42\n');
    expect(code).toBe(7);
  });

  it('screenshot.ts', async () => {
    const { code, stdout } = await example('screenshot.ts');
    expect(stdout).toBe('screenshot.png: 720 x 400 pixels\nconsole.svg: 80 x 24 characters\n');
    expect(readFileSync(join(dir, 'screenshot.png')).subarray(1, 4).toString()).toBe('PNG');
    expect(readFileSync(join(dir, 'console.svg'), 'utf8')).toMatch(
      /^<svg[^]*\busr\b[^]*that was \d+ names[^]*<\/svg>\s*$/,
    );
    expect(code).toBe(0);
  });
});

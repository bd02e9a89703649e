import { spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leftovers, leftoversSince } from '../../support/leftovers.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BIN = join(ROOT, 'packages/cli/dist/bin.js');
const KERNELS = join(ROOT, 'tests/support/scenarios/kernels.repro.ts');
/** The modules of the last one take minutes to prepare. */
const MATRIX = [
  { name: 'cloud-amd64', release: /^6\.1\..*-cloud-amd64$/, reproduced: 0 },
  { name: '6.12-cloud-amd64', release: /^6\.12\./, reproduced: 5 },
  ...(process.env['QMPILOT_TEST_FULL'] === '1'
    ? [{ name: 'rt-amd64', release: /^6\.1\..*-rt-amd64$/, reproduced: 0 }]
    : []),
];
const QUICK = join(ROOT, 'tests/support/scenarios/quick.repro.ts');

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-cli-test-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function qmpilot(
  args: readonly string[],
  onStderr?: (text: string, kill: (signal: NodeJS.Signals) => void) => void,
  variables: Readonly<Record<string, string>> = {},
): Promise<Result> {
  const env = { ...process.env, QMPILOT_BOOT_CACHE: '1', ...variables };
  const child = spawn(process.execPath, [BIN, ...args], { cwd: dir, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onStderr?.(stderr, (signal) => void child.kill(signal));
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

const jsonLines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line): Record<string, unknown> => JSON.parse(line));

describe('qmpilot repro --kernel', () => {
  it('runs a scenario on several kernels with one image, and compares them in one report', async () => {
    const out = join(dir, 'matrix');
    const { code, stdout } = await qmpilot([
      'repro',
      KERNELS,
      ...MATRIX.flatMap(({ name }) => ['--kernel', `linux-image-${name}`]),
      ...['--attempts', '5', '--out', out, '--quiet'],
    ]);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      MATRIX.length === 2 ? /^It fails more often$/m : /^1 of 2 runs fails more often than cloud-amd64$/m,
    );
    expect(stdout).toMatch(/^ +5 x +this kernel is not 6\.1$/m);
    const report = readFileSync(join(out, 'report.html'), 'utf8');
    const json = (name: string, file: string) => JSON.parse(readFileSync(join(out, name, file), 'utf8'));
    for (const { name, release, reproduced } of MATRIX) {
      expect(report).toContain(name);
      expect(json(name, 'run.json')).toMatchObject({
        facts: { guest: { kernelRelease: expect.stringMatching(release) } },
      });
      expect(json(name, 'summary.json')).toMatchObject({ attempts: 5, reproduced });
    }
  });

  it('names a kernel that does not exist, and starts no attempt', async () => {
    const { code, stderr } = await qmpilot(['repro', KERNELS, '--kernel', 'nosuch', '--out', join(dir, 'refused')]);
    expect(code).toBe(2);
    expect(stderr).toContain('nosuch is neither a file nor the name of a kernel package of Debian');
  });
});

describe('qmpilot repro', () => {
  it('journals each attempt, survives the death of QEMU, and leaves nothing behind', async () => {
    const before = leftovers();
    const { code, stdout } = await qmpilot([
      'repro',
      QUICK,
      '--attempts',
      '4',
      '--forks',
      '1',
      '--out',
      join(dir, 'run'),
      '--json',
      '--seed',
      '7',
    ]);
    expect(code).toBe(1);
    const lines = jsonLines(stdout);
    expect(lines.map(({ type, outcome }) => outcome ?? type)).toEqual([
      'clean',
      'reproduced',
      'inconclusive',
      'clean',
      'summary',
    ]);
    expect(lines[1]).toMatchObject({ v: 1, type: 'attempt', index: 2, findings: [{ kind: 'bug' }] });
    expect(lines[2]?.['reason']).toMatch(/QEMU .* was killed by SIGKILL|CONSOLE_CLOSED/);
    expect(lines[4]).toMatchObject({
      v: 1,
      attempts: 4,
      reproduced: 1,
      clean: 2,
      inconclusive: 1,
      rate: 1 / 3,
      dir: join(dir, 'run'),
    });
    expect(jsonLines(readFileSync(join(dir, 'run/attempts.jsonl'), 'utf8'))).toEqual(lines.slice(0, 4));
    expect(JSON.parse(readFileSync(join(dir, 'run/run.json'), 'utf8'))).toMatchObject({
      seed: 7,
      facts: { qemu: { version: expect.any(String) }, accelerator: { reason: expect.any(String) } },
    });
    expect(statSync(join(dir, 'run')).mode & 0o777).toBe(0o700);
    expect(leftoversSince(before)).toEqual([]);
  });

  it('runs the part of the attempts that the variables of a CI system say, with the seeds of the whole run', async () => {
    const shard = (index: string, ...args: string[]) =>
      qmpilot(
        ['repro', QUICK, '--attempts', '2', '--shard', 'auto', '--out', join(dir, `shard-${index}`), '--json', ...args],
        undefined,
        { CI_NODE_INDEX: index, CI_NODE_TOTAL: '2' },
      );
    const first = await shard('1');
    const second = await shard('2');
    expect([first.code, second.code]).toEqual([0, 1]);
    const [one, two] = [jsonLines(first.stdout), jsonLines(second.stdout)];
    expect([one[0]?.['index'], two[0]?.['index']]).toEqual([1, 2]);
    const merged = await qmpilot(['report', 'shard-1', 'shard-2', '--out', 'merged.html']);
    expect(merged).toMatchObject({ code: 0, stdout: expect.stringContaining('1 of 2') });
    const wrong = await shard('1', '--shards', '3');
    expect(wrong).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--shards is 3, and GitLab CI has 2 jobs'),
    });
  });

  it('escapes guest text before it reaches the terminal', async () => {
    const { stdout, stderr } = await qmpilot(['repro', QUICK, '--attempts', '2', '--out', join(dir, 'escape')]);
    expect(`${stdout}${stderr}`).toContain('\\x1b]52;c;ZXZpbA==\\x07');
    expect(`${stdout}${stderr}`).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/);
  });

  it('keeps finished attempts at Ctrl-C, ends the VM, and exits with 130', async () => {
    const before = leftovers();
    let sent = false;
    const { code, stdout } = await qmpilot(
      ['repro', QUICK, '--attempts', '20', '--forks', '1', '--out', join(dir, 'interrupted'), '--json'],
      (stderr, kill) => {
        if (sent || !stderr.includes('attempt 2 of 20')) return;
        sent = true;
        kill('SIGINT');
      },
    );
    expect(code).toBe(130);
    expect(jsonLines(readFileSync(join(dir, 'interrupted/attempts.jsonl'), 'utf8'))).toEqual(jsonLines(stdout));
    expect(leftoversSince(before)).toEqual([]);
  });

  it.each([
    ['no file', ['repro'], /missing required argument/],
    ['a file that is not there', ['repro', 'nope.repro.ts'], /cannot read the scenario/],
    ['no attempts', ['repro', QUICK, '--attempts', '0'], /whole number of 1 or more/],
    ['attempts that are no number', ['repro', QUICK, '--attempts', 'x'], /whole number of 1 or more/],
    ['a timeout that is none', ['repro', QUICK, '--timeout', 'soon'], /duration/],
    ['a guest that the scenario does not have', ['repro', QUICK, '--guest', 'nixos'], /has no guest "nixos"/],
    ['an unknown option', ['repro', QUICK, '--atempts', '3'], /unknown option/],
    ['an unknown command', ['rpro'], /unknown command/],
    [
      'a file without a scenario',
      ['repro', join(ROOT, 'tests/support/scenarios/unmarked.repro.ts')],
      /exports no scenario/,
    ],
    ['a defect that is not known', ['guest', 'build', 'debian', '--defect', 'x'], /io-uring-unlocked-flush/],
    ['an image that is not there', ['guest', 'rm', 'ffff0000'], /image "ffff0000" not found/],
  ])('exits with 2 and says why: %s', async (_what, args, message) => {
    const { code, stderr } = await qmpilot(args);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });

  it('exits with 2 for a scenario that does not compile, and names the place', async () => {
    copyFileSync(join(ROOT, 'tests/support/scenarios/broken.repro.ts.txt'), join(dir, 'broken.repro.ts'));
    const { code, stderr } = await qmpilot(['repro', 'broken.repro.ts']);
    expect(stderr).toMatch(/cannot load the scenario/);
    expect(code).toBe(2);
  });

  it('exits with 125 and the remedy when there is no QEMU', async () => {
    const child = spawn(process.execPath, [BIN, 'repro', QUICK], {
      cwd: dir,
      env: { ...process.env, QMPILOT_QEMU: '/nonexistent/qemu' },
    });
    let stderr = '';
    child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(125);
    expect(stderr).toMatch(/no QEMU found.*\n(.*\n)*.*apt-get install qemu-system-x86/);
  });
});

describe('qmpilot doctor and guest', () => {
  it('reports on this host', async () => {
    const { code, stdout } = await qmpilot(['doctor', '--json']);
    expect(code).toBe(0);
    expect(jsonLines(stdout)).toEqual(
      expect.arrayContaining([expect.objectContaining({ type: 'check', name: 'QEMU', status: 'ok' })]),
    );
  });

  it('lists the image that the tests use', async () => {
    const { stdout } = await qmpilot(['guest', 'ls', '--json']);
    expect(jsonLines(stdout)).toEqual(
      expect.arrayContaining([expect.objectContaining({ type: 'image', name: 'debian+io-uring-unlocked-flush' })]),
    );
  });
});

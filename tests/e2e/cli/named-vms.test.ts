import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { leftovers, leftoversSince } from '../../support/leftovers.js';
import { BIN, dir, environment, ps, qmpilot, qmpilotWith, stopVmsAtEnd } from './command-line.js';

stopVmsAtEnd();
let before: string[];
beforeAll(async () => {
  before = leftovers();
  expect(
    (await qmpilot('boot', '--cache', '--name', 'web', 'debian', '--defect', 'io-uring-unlocked-flush')).stdout,
  ).toBe('web\n');
  expect((await qmpilot('snapshot', 'save', 'web', 'ready')).code).toBe(0);
});

describe('a VM under a name, from one command to the next', () => {
  it('passes on output and exit status of commands, arguments as they are', async () => {
    expect(await qmpilot('exec', 'web', '--', 'uname', '-r')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^6\.1\./),
    });
    expect(await qmpilot('exec', 'web', 'echo out; echo err >&2; exit 7')).toMatchObject({
      code: 7,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    expect((await qmpilot('exec', 'web', 'printf', '%s|', 'a b', "it's", '$HOME', '*', '-n', '')).stdout).toBe(
      "a b|it's|$HOME|*|-n||",
    );
    expect((await qmpilotWith('typed\n', 'exec', '--stdin', 'web', 'cat')).stdout).toBe('typed\n');
    expect(await qmpilot('exec', '--timeout', '500ms', 'web', 'sleep 100')).toMatchObject({
      code: 125,
      stderr: expect.stringContaining('timed out after'),
    });
  });

  it('passes on standard input while the command runs, to the byte, and no longer', async () => {
    const text = 'All work and no play.\n'.repeat(250_000);
    const digest = createHash('sha256').update(text).digest('hex');
    expect((await qmpilotWith(text, 'exec', '--stdin', 'web', 'sha256sum')).stdout).toBe(`${digest}  -\n`);
    const child = spawn(process.execPath, [BIN, 'exec', '--stdin', 'web', 'read x; echo "got $x"; read y; exit 3'], {
      env: environment(),
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const exited = new Promise((resolve) => child.once('close', resolve));
    const printed = new Promise((resolve) => child.stdout.once('data', (bytes: Buffer) => resolve(bytes.toString())));
    child.stdin.write('one\n');
    expect(await printed).toBe('got one\n');
    // Its input stays open: the end of the command is enough.
    child.stdin.write('two\n');
    expect(await exited).toBe(3);
  });

  it('serves several commands at once, each with its own output to the byte', async () => {
    const script = (seed: number) => `for i in $(seq 400); do echo "${seed} $i ${'x'.repeat(100)}"; done`;
    const expected = (seed: number) =>
      Array.from({ length: 400 }, (_, index) => `${seed} ${index + 1} ${'x'.repeat(100)}\n`).join('');
    const results = await Promise.all([1, 2, 3, 4].map((seed) => qmpilot('exec', 'web', script(seed))));
    const digest = (text: string) => createHash('sha256').update(text).digest('hex');
    expect(results.map(({ stdout }) => digest(stdout))).toEqual([1, 2, 3, 4].map((seed) => digest(expected(seed))));
  });

  it('refuses options of exec where the command begins, and says where they belong', async () => {
    expect(await qmpilot('exec', 'web', '--timeout', '5s', '--', 'true')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('qmpilot exec --timeout 5s web -- true'),
    });
    expect((await qmpilot('exec', 'web', '--', '-x')).code).toBe(127);
  });

  it('says SHELL_LOST, and continues, when a command ends the shell that runs it', async () => {
    expect(await qmpilot('exec', 'web', 'kill -9 $$')).toMatchObject({
      code: 125,
      stderr: expect.stringContaining('ended while it ran'),
    });
    expect((await qmpilot('exec', 'web', 'echo here')).stdout).toBe('here\n');
  });

  it('types a secret that is in no argument, echo and log', async () => {
    await qmpilot('type', 'web', 'read -rs secret; echo "got ${#secret}"', '--enter');
    expect((await qmpilotWith('correct horse\\n\n', 'type', '--stdin', '--enter', 'web')).code).toBe(0);
    await expect.poll(async () => (await qmpilot('screen', 'web')).stdout, { timeout: 20_000 }).toContain('got 15');
    expect((await qmpilot('logs', 'web')).stdout).not.toContain('correct horse');
    expect(await qmpilot('type', 'web')).toMatchObject({ code: 2, stderr: expect.stringContaining('no text given') });
  });

  it('types on the console, and shows it as a screen and as a log', async () => {
    await qmpilot('type', 'web', 'echo "the answer is $((6 * 7))"\\n');
    await expect
      .poll(async () => (await qmpilot('screen', 'web')).stdout, { timeout: 20_000 })
      .toContain('the answer is 42');
    expect((await qmpilot('screen', 'web', '--svg')).stdout).toMatch(/^<svg[^]*the answer is 42/);
    expect((await qmpilot('logs', 'web')).stdout).toContain('the answer is 42\n');
    expect(await qmpilot('console', 'web')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('must be a terminal'),
    });
  });

  it('goes back to a snapshot, and forks into a VM with a life of its own', async () => {
    await qmpilot('exec', 'web', 'echo web > /root/nonce');
    expect((await qmpilot('fork', 'web', 'ready', 'web2')).stdout).toBe('web2\n');
    expect((await qmpilot('exec', 'web2', 'cat /root/nonce')).code).toBe(1);
    await qmpilot('restore', 'web', 'ready');
    expect((await qmpilot('exec', 'web', 'cat /root/nonce')).code).toBe(1);
    expect((await qmpilot('snapshot', 'ls', 'web')).stdout).toMatch(/^NAME +STRATEGY +AGE.*\nready  template/);
    await qmpilot('snapshot', 'save', 'web', 'spare');
    expect((await qmpilot('snapshot', 'drop', 'web', 'spare')).stdout).toBe('spare\n');
    expect((await qmpilot('snapshot', 'ls', 'web', '--json')).stdout.trim().split('\n')).toHaveLength(1);
    expect((await qmpilot('fork', 'web', 'spare', 'web3')).code).toBe(2);
    expect((await ps()).map(({ name }) => name)).not.toContain('web3');
    expect((await qmpilot('stop', 'web2')).stdout).toBe('web2\n');
    expect((await qmpilot('exec', 'web', 'echo here')).stdout).toBe('here\n');
    expect(await qmpilot('exec', 'web2', 'true')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('has ended: stopped'),
    });
  });

  it('copies files and trees in and out', async () => {
    mkdirSync(join(dir, 'tree', 'sub'), { recursive: true });
    writeFileSync(join(dir, 'tree', 'sub', 'file'), 'from the host');
    expect(await qmpilot('cp', join(dir, 'tree'), 'web:/root/')).toMatchObject({
      code: 0,
      stderr: 'copied 1 file, 13 bytes\n',
    });
    expect((await qmpilot('exec', 'web', 'cat /root/tree/sub/file')).stdout).toBe('from the host');
    expect((await qmpilot('cp', 'web:/root/tree/sub/file', join(dir, 'back'))).code).toBe(0);
    expect(readFileSync(join(dir, 'back'), 'utf8')).toBe('from the host');
    expect(await qmpilot('cp', 'web:/nowhere', dir)).not.toMatchObject({ code: 0 });
    expect(await qmpilot('cp', '/a', '/b')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('NAME:/absolute'),
    });
  });

  it('waits for units, files and commands, and says what it saw instead', async () => {
    expect((await qmpilot('wait', 'web', '--unit', 'systemd-journald')).code).toBe(0);
    expect((await qmpilot('wait', 'web', '--gone', '/run/nothing')).code).toBe(0);
    expect((await qmpilot('wait', 'web', '--command', 'test -d /root')).code).toBe(0);
    expect(await qmpilot('wait', 'web', '--command', 'echo not yet; exit 3', '--timeout', '2s')).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/exit code 3: not yet/),
    });
    expect(await qmpilot('wait', 'web')).toMatchObject({ code: 2, stderr: expect.stringContaining('no condition') });
  });

  it('passes environment variables to a command', async () => {
    const { stdout } = await qmpilot('exec', '--env', 'A=one two', '--env', 'B=$HOME', 'web', 'echo "$A|$B"');
    expect(stdout).toBe('one two|$HOME\n');
  });

  it('looks at a guest: stacks of a process, SysRq, diagnosis', async () => {
    expect((await qmpilot('stacks', 'web', '1')).stdout).toMatch(/^process 1 \(systemd\)\nthread 1/);
    expect((await qmpilot('sysrq', 'web', 'm')).stdout).toMatch(/Mem-Info/);
    expect(await qmpilot('diagnose', 'web')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[a-z-]+: \S/) });
  });

  it('says who is stuck, in a VM and in a dump of its memory', async () => {
    const sentence = /^No task is stuck: \d+ tasks were examined\.\n$/;
    expect(await qmpilot('explain', 'web', '--min-wait', '1h')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(sentence),
    });
    const file = join(dir, 'web.elf');
    expect(await qmpilot('dump', 'web', file)).toMatchObject({ code: 0, stdout: '' });
    const { code, stdout } = await qmpilot('explain', '--dump', file, '--min-wait', '1h', '--json');
    rmSync(file);
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { type: 'explanation', dump: file, stuck: [], cycles: [] }]);
    expect(await qmpilot('explain')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('explain: neither a VM nor a dump given'),
    });
  });

  it('saves a snapshot to a directory, and starts a VM from it', async () => {
    const saved = join(dir, 'saved');
    expect((await qmpilot('snapshot', 'save', 'web', 'ready', saved)).code).toBe(0);
    expect((await qmpilot('boot', '--name', 'again', '--from', saved)).stdout).toBe('again\n');
    expect((await qmpilot('exec', 'again', 'echo here')).stdout).toBe('here\n');
    expect(await qmpilot('boot', '--from', saved, '--cpus', '4')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--from cannot be combined with --cpus'),
    });
    await qmpilot('stop', 'again');
    expect(await qmpilot('exec', 'again', 'true')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('has ended: stopped'),
    });
  });

  it('keeps the console of a boot that failed', async () => {
    // QEMU takes the last -append: this kernel panics where it would mount its root file system.
    const append = 'console=ttyS0 rdinit=/none root=/dev/none';
    const failed = await qmpilot('boot', '--name', 'broken', '--qemu-arg', '-append', '--qemu-arg', append, 'debian');
    expect(failed).toMatchObject({ code: 125, stderr: expect.stringContaining('Kernel panic') });
    expect((await qmpilot('logs', 'broken')).stdout).toContain('VFS: Unable to mount root fs');
    expect((await qmpilot('rm', 'broken')).stdout).toBe('broken\n');
  });

  it.each([
    ['an unknown vm', ['exec', 'nope', 'true'], /VM nope not found[^]*running VMs: .*web/],
    ['a name that is taken', ['boot', '--name', 'web', 'debian'], /the VM web already exists/],
    ['a name that is none', ['boot', '--name', '../x', 'debian'], /invalid VM name "..\/x"/],
    ['an unknown guest', ['boot', 'plan9'], /unknown guest plan9/],
    ['no command', ['exec', 'web'], /missing required argument/],
    ['a running vm to forget', ['rm', 'web'], /is running/],
    ['a backslash that means nothing', ['type', 'web', '\\q'], /unknown escape/],
  ])('says what is wrong with %s, and exits with 2', async (_what, args, message) => {
    expect(await qmpilot(...args)).toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
  });

  it('reports a snapshot that is not found', async () => {
    expect(await qmpilot('restore', 'web', 'nope')).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/snapshot "nope" not found[^]*ready/),
    });
  });

  it('outlives a poweroff when it has a snapshot to come back from', async () => {
    expect(await qmpilot('poweroff', 'web')).toMatchObject({ code: 0, stderr: expect.stringContaining('units') });
    expect(await ps()).toContainEqual(expect.objectContaining({ name: 'web', status: 'off', reason: 'powered off' }));
    expect(await qmpilot('exec', 'web', 'true')).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/the VM web is off: powered off\n.*qmpilot restore web ready/),
    });
    expect(await qmpilot('rm', '--all')).toMatchObject({
      stderr: expect.stringContaining('not removed: web (powered off'),
    });
    await qmpilot('restore', 'web', 'ready');
    expect((await qmpilot('exec', 'web', 'echo back')).stdout).toBe('back\n');
  });

  it('ends with its daemon, SIGKILL included; what it left is reported and removed', async () => {
    const web = (await ps()).find(({ name }) => name === 'web');
    process.kill(web?.daemonPid ?? 0, 'SIGKILL');
    await expect.poll(() => existsSync(`/proc/${web?.qemuPid}`), { timeout: 10_000 }).toBe(false);
    expect((await qmpilot('ps')).stderr).toContain('web: its daemon was killed; its state is removed');
    expect(existsSync(join(dir, 'vms', 'web'))).toBe(false);
    await expect.poll(() => leftoversSince(before), { timeout: 10_000 }).toEqual([]);
  });

  it('leaves nothing when its boot is interrupted', async () => {
    const child = spawn(
      process.execPath,
      [BIN, 'boot', '--name', 'late', 'debian', '--defect', 'io-uring-unlocked-flush'],
      {
        env: environment(),
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    const ended = new Promise((resolve) => child.once('close', resolve));
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += String(chunk);
      if (stderr.includes('QEMU ')) child.kill('SIGINT');
    });
    expect(await ended).toBe(130);
    await expect.poll(() => leftoversSince(before), { timeout: 10_000 }).toEqual([]);
    expect(await ps()).toContainEqual(
      expect.objectContaining({ name: 'late', status: 'ended', reason: 'boot interrupted' }),
    );
    expect((await qmpilot('rm', 'late')).stdout).toBe('late\n');
  });
});

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism, hostname, tmpdir, totalmem, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { AttemptRecord } from '@qmpilot/core';
import { readRuns } from '@qmpilot/core/report';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeTinyGuest } from '../../support/tiny-guest.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BIN = join(ROOT, 'packages/cli/dist/bin.js');
const TINY = join(ROOT, 'tests/support/scenarios/tiny.repro.ts');
const [SHARD, MERGE] = [join(ROOT, 'recipes/slurm/shard.sbatch'), join(ROOT, 'recipes/slurm/merge.sbatch')];
const ATTEMPTS = 40;

let dir: string;
let env: NodeJS.ProcessEnv;
const daemons: ChildProcess[] = [];

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address ? address.port : 0;
}

function start(program: string, ...args: readonly string[]): void {
  const daemon = spawn(program, args, { env, stdio: 'ignore' });
  daemon.once('error', () => {});
  daemons.push(daemon);
}

/** A cluster whose only node is this host, with its state in `dir`. */
async function startCluster(): Promise<void> {
  const node = hostname().split('.')[0];
  const user = userInfo().username;
  const [munge, socket] = [join(dir, 'munge'), join(dir, 'munge.socket')];
  for (const folder of ['munge', 'state', 'spool']) mkdirSync(join(dir, folder), { mode: 0o755 });
  writeFileSync(join(munge, 'key'), randomBytes(64), { mode: 0o600 });
  writeFileSync(
    join(dir, 'slurm.conf'),
    `ClusterName=qmpilot
SlurmctldHost=${node}(127.0.0.1)
SlurmctldPort=${await freePort()}
SlurmdPort=${await freePort()}
SlurmUser=${user}
SlurmdUser=${user}
AuthInfo=socket=${socket}
StateSaveLocation=${dir}/state
SlurmdSpoolDir=${dir}/spool
SlurmctldPidFile=${dir}/slurmctld.pid
SlurmdPidFile=${dir}/slurmd.pid
SlurmctldLogFile=${dir}/slurmctld.log
SlurmdLogFile=${dir}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=sched_interval=1,bf_interval=1
ReturnToService=2
MpiDefault=none
NodeName=${node} NodeAddr=127.0.0.1 CPUs=${availableParallelism()} RealMemory=${Math.floor(totalmem() / 2 ** 21)}
PartitionName=all Nodes=${node} Default=YES State=UP
`,
  );
  const files = ['key', 'log', 'pid', 'seed'].map((name) => `--${name}-file=${join(munge, name)}`);
  start('munged', '--foreground', '--force', `--socket=${socket}`, ...files);
  await vi.waitUntil(() => existsSync(socket), { timeout: 30_000 });
  start('slurmctld', '-D');
  start('slurmd', '-D');
  const state = () => run('sinfo', ['--noheader', '--format=%t'], { env }).then(({ stdout }) => stdout.trim(), String);
  await vi.waitUntil(async () => (await state()) === 'idle', { timeout: 60_000, interval: 200 });
}

const attemptsOf = (shard: number): AttemptRecord[] => {
  const path = join(dir, 'run', `shard-${shard}`, 'attempts.jsonl');
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
  return lines.map((line): AttemptRecord => JSON.parse(line));
};

/** It needs Debian's slurm-wlm and munge. */
describe.runIf(process.env['QMPILOT_TEST_SLURM'] === '1')('the Slurm recipe', () => {
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'qmpilot-slurm-test-'));
    const { kernel, initrd } = await makeTinyGuest(dir);
    mkdirSync(join(dir, 'bin'));
    writeFileSync(join(dir, 'bin/qmpilot'), `#!/bin/sh\nexec '${process.execPath}' '${BIN}' "$@"\n`, { mode: 0o755 });
    const PATH = [join(dir, 'bin'), process.env['PATH'], '/usr/sbin'].join(':');
    env = { ...process.env, PATH, SLURM_CONF: join(dir, 'slurm.conf'), TINY_KERNEL: kernel, TINY_INITRD: initrd };
    await startCluster();
  });
  afterAll(async () => {
    await run('scancel', ['--user', userInfo().username], { env }).catch(() => {});
    for (const daemon of daemons.toReversed()) {
      if (daemon.exitCode !== null || !daemon.kill()) continue;
      await once(daemon, 'exit');
    }
    rmSync(dir, { recursive: true, force: true });
  });

  it('makes each attempt once in an array of four tasks, one of which is requeued, and merges them', async () => {
    const small = ['--parsable', '--cpus-per-task=1', '--mem=1G'];
    const submit = async (...args: readonly string[]) => {
      const { stdout } = await run('sbatch', [...small, ...args], { cwd: dir, env });
      return stdout.trim();
    };
    const array = await submit(SHARD, TINY, String(ATTEMPTS), join(dir, 'run'), '--seed', '5');
    await expect.poll(() => attemptsOf(1).length, { timeout: 120_000, interval: 20 }).toBeGreaterThan(0);
    await run('scontrol', ['requeue', `${array}_1`], { env });
    const before = attemptsOf(1);
    // Slurm waits two minutes before it starts a requeued task, unless it is told to start it.
    const reason = () => run('squeue', ['--noheader', '--format=%r', `--jobs=${array}_1`], { env });
    await expect.poll(async () => (await reason()).stdout.trim(), { timeout: 60_000, interval: 100 }).toBe('BeginTime');
    await run('scontrol', ['update', `JobId=${array}_1`, 'StartTime=now'], { env });
    await submit('--wait', `--dependency=afterany:${array}`, MERGE, join(dir, 'run'));

    const shards = [1, 2, 3, 4];
    expect(before.length).toBeLessThan(ATTEMPTS / shards.length);
    expect(attemptsOf(1).slice(0, before.length)).toEqual(before);
    const indices = shards.flatMap((shard) => attemptsOf(shard).map(({ index }) => index));
    expect(indices.toSorted((one, other) => one - other)).toEqual(Array.from({ length: ATTEMPTS }, (_, at) => at + 1));
    const [merged, ...others] = await readRuns(
      shards.map((shard) => join(dir, 'run', `shard-${shard}`)),
      { evidence: false },
    );
    expect(others).toEqual([]);
    expect(merged?.notes).toEqual([]);
    expect(readFileSync(join(dir, 'run/junit.xml'), 'utf8')).toContain(`tests="${ATTEMPTS}"`);
    expect(readFileSync(join(dir, 'run/report.html'), 'utf8')).toContain('4 of 4 shards');
  });
});

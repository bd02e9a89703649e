import { readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { poll } from '../../util/async/deadline.js';
import { programFolder } from './fake-program.fixture.js';
import { runMmdebstrap } from './mmdebstrap.js';

let cwd: string;

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'qmpilot-mmdebstrap-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(cwd, { recursive: true, force: true });
});

const HOST = ['sh', 'cat', 'sleep', 'env', 'mkdir', 'mount', 'true', 'unshare'];

async function run(
  scripts: Record<string, string>,
  signal?: AbortSignal,
  onLine: (line: string) => void = () => {},
): Promise<void> {
  vi.stubEnv('PATH', await programFolder(cwd, scripts, HOST));
  await runMmdebstrap({
    args: ['bookworm', 'it is', "quote'd"],
    env: { MARK: 'm' },
    suite: 'bookworm',
    cwd,
    signal,
    onLine,
  });
}

const dies = (stderr: string, status = 25) => ({
  newuidmap: ':',
  mmdebstrap: `cat >&2 <<'END'\n${stderr}\nEND\nexit ${status}`,
});

describe('runMmdebstrap', () => {
  it('hands arguments and environment over as they are, and tells lines of both outputs', async () => {
    const lines: string[] = [];
    await run(
      { newuidmap: ':', mmdebstrap: 'for a; do echo "[$a]"; done; echo $MARK >&2; printf unfinished' },
      undefined,
      (line) => lines.push(line),
    );
    expect(lines.filter((line) => line !== 'm')).toEqual(['[bookworm]', '[it is]', "[quote'd]"]);
    expect(lines).toContain('m');
  });

  it('says which package brings mmdebstrap when it is not there', async () => {
    await expect(run({})).rejects.toMatchObject({
      code: 'TOOL_MISSING',
      hint: expect.stringContaining('apt-get install mmdebstrap'),
    });
  });

  it('tells a plain user that newuidmap is needed', async () => {
    vi.spyOn(process, 'getuid').mockReturnValue(1000);
    await expect(run({ mmdebstrap: ':' })).rejects.toMatchObject({
      code: 'TOOL_MISSING',
      hint: expect.stringContaining('uidmap'),
    });
  });

  it.each([
    [
      'a name that does not resolve',
      "Err:1 http://mirror InRelease\n  Temporary failure resolving 'mirror'\nE: apt-get update failed",
    ],
    ['a mirror that refuses', 'E: Failed to fetch x  Connection refused\nE: apt-get update failed'],
  ])("takes %s for a network problem, with apt's last lines", async (_, stderr) => {
    const error = await run(dies(stderr)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'GUEST_BUILD', hint: expect.stringContaining('network') });
    expect(error).toMatchObject({
      evidence: { stderr: stderr.split('\n') },
      message: expect.stringMatching(
        /^cannot fetch packages of Debian bookworm: (?:Temporary failure|Failed to fetch)/,
      ),
    });
  });

  it('takes a full disk for NO_SPACE, whatever else failed because of it', async () => {
    const stderr =
      'dpkg: error: write failed: No space left on device\nE: Sub-process returned an error\nE: mmdebstrap failed to run';
    await expect(run(dies(stderr))).rejects.toMatchObject({ code: 'NO_SPACE' });
  });

  it("gives another failure as GUEST_BUILD, with mmdebstrap's own error", async () => {
    await expect(run(dies('I: working\nE: the hook failed'))).rejects.toMatchObject({
      code: 'GUEST_BUILD',
      message: 'mmdebstrap ended with 25: E: the hook failed',
    });
  });

  it.each([
    [
      'a suite that the mirror does not have',
      "  404  Not Found [IP: 203.0.113.80 80]\nE: The repository 'http://deb.debian.org/debian bookworm Release' does not have a Release file.",
      'the mirror has no Debian release "bookworm"',
    ],
    [
      'packages that do not exist',
      "E: Unable to locate package nosuch\nE: Version '9' for 'nginx' was not found\nE: apt download failed",
      'not found in Debian bookworm: nosuch, nginx=9',
    ],
    [
      'a setup script that fails, with what it printed last',
      'setup: one\nsetup: createdb: no such role\nqmpilot-setup-failed: 3\nE: setup failed',
      'the setup script ended with 3: createdb: no such role',
    ],
    [
      'a setup script that prints nothing',
      'qmpilot-setup-failed: 127',
      'the setup script ended with 127, and printed nothing',
    ],
    [
      'a disk that is full',
      'qmpilot-disk-too-small\nE: x',
      'the disk of the image is too small for its packages and files',
    ],
  ])('names %s', async (_, stderr, message) => {
    await expect(run(dies(stderr))).rejects.toMatchObject({ code: 'GUEST_BUILD', message });
  });

  it('keeps only the end of an endless output', async () => {
    const noise = 'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; echo "E: last" >&2; exit 1';
    const error = await run({ newuidmap: ':', mmdebstrap: noise }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ evidence: { stderr: { length: 20 } } });
  });

  it('ends the whole process group when it is aborted', async () => {
    const stop = new AbortController();
    let begun: readonly string[] = [];
    const running = run({ newuidmap: ':', mmdebstrap: 'sleep 300 & echo started; wait' }, stop.signal, () => {
      begun = processesIn(cwd);
      stop.abort(new Error('enough'));
    });
    await expect(running).rejects.toMatchObject({ code: 'ABORTED', cause: { message: 'enough' } });
    expect(begun.length).toBeGreaterThanOrEqual(2);
    await poll({ awaited: 'the end of the group' }, { timeout: '5s' }, async () =>
      processesIn(cwd).length > 0 ? undefined : true,
    );
  });

  it('starts nothing when the signal has fired already', async () => {
    await expect(run({ newuidmap: ':', mmdebstrap: 'echo > started' }, AbortSignal.abort())).rejects.toMatchObject({
      code: 'ABORTED',
    });
    await expect(readFile(join(cwd, 'started'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

/** The processes that work in a folder, by their ids; a zombie, which waits for an init that need not be quick, does not. */
function processesIn(folder: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/cwd`) === folder;
    } catch {
      return false;
    }
  });
}

it.runIf(process.getuid?.() === 0)('mounts nothing outside of its own namespace', async () => {
  const tree = join(cwd, 'tree');
  const script = `mkdir ${tree}; mount -t tmpfs none ${tree} || { echo no mounts here; exit 0; }; cat /proc/mounts`;
  const lines: string[] = [];
  await run({ newuidmap: ':', mmdebstrap: script }, undefined, (line) => void lines.push(line));
  if (lines.includes('no mounts here')) return;
  expect(lines.filter((line) => line.includes(tree))).toHaveLength(1);
  expect(await readFile('/proc/mounts', 'utf8')).not.toContain(tree);
});

import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  checkName,
  claim,
  find,
  list,
  markEnded,
  noteDaemon,
  requireRunning,
  socketOf,
  type VmRecord,
} from './state.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-state-'));
  vi.stubEnv('QMPILOT_STATE', join(dir, 's'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true });
});

const record = (name: string, createdAt = new Date().toISOString()): VmRecord => ({
  v: 1,
  name,
  guest: 'debian',
  createdAt,
});

describe('the names of vms', () => {
  it.each(['', '.', '..', '-x', 'a/b', '../x', 'x'.repeat(64), 'a b', 'ä'])('refuse %j', (name) => {
    expect(() => checkName(name)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });

  it('belong to one vm, of two that take the same at once', async () => {
    const claims = await Promise.allSettled([claim(record('web')), claim(record('web'))]);
    expect(claims.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect((await list()).map(({ record: { name }, life }) => [name, life])).toEqual([['web', 'running']]);
  });

  it('are free again when the vm has ended, and say why it did', async () => {
    const directory = await claim(record('web'));
    await markEnded(directory, record('web'), 'powered off');
    await expect(requireRunning('web')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('powered off'),
    });
    expect(await claim(record('web'))).toBe(directory);
  });

  it('are free again when the daemon was killed: nobody listens on its socket any more', async () => {
    const directory = await claim(record('web', new Date(0).toISOString()));
    expect((await find('web'))?.life).toBe('gone');
    await expect(requireRunning('web')).rejects.toMatchObject({
      message: expect.stringContaining('its daemon was killed'),
    });
    expect(existsSync(directory)).toBe(false);
  });

  it('stay taken while the daemon boots the guest, however long that takes, and are free when it was killed', async () => {
    const directory = await claim(record('web', new Date(0).toISOString()));
    await noteDaemon(directory);
    expect((await find('web'))?.life).toBe('running');
    await expect(claim(record('web'))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    const file = join(directory, 'daemon.pid');
    // The pid of this process with another start time: that daemon has gone, and its pid was used again.
    writeFileSync(file, readFileSync(file, 'utf8').replace(/ \d+/, ' 1'));
    expect((await find('web'))?.life).toBe('gone');
    expect(await claim(record('web'))).toBe(directory);
  });

  it('stay taken while the daemon listens', async () => {
    const directory = await claim(record('web', new Date(0).toISOString()));
    const server = createServer();
    server.listen(socketOf(directory));
    await once(server, 'listening');
    expect((await find('web'))?.life).toBe('running');
    await expect(claim(record('web'))).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: expect.stringContaining('already'),
    });
    server.close();
  });

  it('have folders of mode 0700, and are refused when others can enter them', async () => {
    const directory = await claim(record('web'));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    chmodSync(join(dir, 's', 'vms'), 0o755);
    await expect(claim(record('other'))).rejects.toMatchObject({
      code: 'USAGE',
      hint: expect.stringContaining('chmod 700'),
    });
  });

  it('are refused when the path of the socket would be too long', async () => {
    vi.stubEnv('QMPILOT_STATE', join(dir, 'x'.repeat(100)));
    await expect(claim(record('web'))).rejects.toMatchObject({
      code: 'USAGE',
      hint: expect.stringContaining('QMPILOT_STATE'),
    });
  });
});

import { spawnSync } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
  chmodSync,
  existsSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, debian, direct, openSnapshot, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeTinyGuest } from '../../support/tiny-guest.js';

const isRoot = process.getuid?.() === 0;
/** Commas, signs and words of a shell, where QEMU or a shell could take them for more than a name. */
const NAME = 'a,b=c $(touch pwned) ;\'x"\n-\u00e9%s\\';

let dir: string;
let own: string;
let kept: string;
let vm: Vm;
/** What is made must be closed explicitly, not by chance. */
const umask = process.umask(0);
const before = { tmp: process.env['TMPDIR'], ram: process.env['QMPILOT_RAM_DIR'] };
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qh-'));
  // Short, for QEMU before 8.2 connects to a socket in it.
  own = join(dir, NAME);
  kept = join(dir, `kept ${NAME}`);
  mkdirSync(own);
  const guest = await makeTinyGuest(dir);
  const disk = join(dir, `${NAME}.raw`);
  writeFileSync(disk, '');
  truncateSync(disk, 1 << 20);
  process.env['TMPDIR'] = own;
  process.env['QMPILOT_RAM_DIR'] = own;
  vm = await boot(
    direct({
      name: NAME,
      ...guest,
      append: 'console=ttyS0 quiet',
      cpus: 1,
      memoryMiB: 128,
      disks: [{ id: 'disk', file: disk, format: 'raw' }],
      login: { prompt: /tiny# $/ },
    }),
  );
});
afterAll(async () => {
  await vm?.close();
  for (const [name, value] of [
    ['TMPDIR', before.tmp],
    ['QMPILOT_RAM_DIR', before.ram],
  ] as const) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  rmSync(dir, { recursive: true, force: true });
  process.umask(umask);
});

const everything = (path: string) =>
  readdirSync(path, { recursive: true, encoding: 'utf8' }).map((name) => join(path, name));
/** Group and others, of what is there; links have no mode of their own. */
const openToOthers = (paths: readonly string[]) =>
  paths.filter((path) => existsSync(path) && !lstatSync(path).isSymbolicLink() && (lstatSync(path).mode & 0o077) !== 0);

describe('a QEMU of ours', () => {
  it('runs with a seccomp filter, without default devices, configuration or network', async () => {
    const { pid } = vm;
    expect(/^Seccomp:\s+(\d)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]).toBe('2');
    const { commandLine } = vm.facts;
    for (const wanted of ['-nodefaults', '-no-user-config', '-sandbox']) expect(commandLine).toContain(wanted);
    expect(commandLine[commandLine.indexOf('-sandbox') + 1]).toBe(
      'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
    );
    const seen: unknown = await vm.qmp.execute('query-pci');
    expect(JSON.stringify(seen)).not.toMatch(/Ethernet|VGA/);
  });

  it('has no listening sockets, and no sockets with a path', () => {
    const inodes = new Set(
      readdirSync(`/proc/${vm.pid}/fd`).flatMap(
        (fd) => /socket:\[(\d+)\]/.exec(linkOf(`/proc/${vm.pid}/fd/${fd}`))?.[1] ?? [],
      ),
    );
    expect(inodes.size).toBeGreaterThan(1);
    const unix = readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => inodes.has(fields[6] ?? ''));
    expect(unix.map((fields) => fields[7])).toEqual(unix.map(() => undefined));
    const listening = ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((name) =>
      readFileSync(`/proc/net/${name}`, 'utf8')
        .split('\n')
        .map((line) => line.trim().split(/\s+/)),
    );
    expect(listening.filter((fields) => inodes.has(fields[9] ?? ''))).toEqual([]);
  });

  it('gets names with commas, equal signs and shell syntax unchanged', async () => {
    const devices = await vm.qmp.execute('query-block');
    expect(JSON.stringify(devices)).toContain(JSON.stringify(NAME).slice(1, -1));
    const { name } = await vm.qmp.execute('query-name');
    expect(name).toBe(NAME);
    expect([existsSync('pwned'), existsSync(join(own, 'pwned')), existsSync(join(dir, 'pwned'))]).toEqual([
      false,
      false,
      false,
    ]);
  });
});

describe('files of a VM', () => {
  it('are accessible only to this user: overlays, RAM, states, sockets, saved snapshots', async () => {
    await vm.snapshot('ready');
    const fork = await vm.fork('ready');
    expect(everything(own).length).toBeGreaterThan(5);
    expect(openToOthers(everything(own))).toEqual([]);
    await fork.close();
    const snapshot = await vm.snapshot('kept');
    await snapshot.save(kept);
    expect(openToOthers([kept, ...everything(kept)])).toEqual([]);
  });

  it.skipIf(!isRoot)('cannot be read by another user', () => {
    chmodSync(dir, 0o711);
    chmodSync(own, 0o711);
    const [folder = ''] = readdirSync(own);
    const look = (path: string) =>
      spawnSync('setpriv', ['--reuid', '65534', '--regid', '65534', '--clear-groups', 'ls', path], {
        encoding: 'utf8',
      });
    expect(look(own).stderr + look(join(own, folder)).stderr).toMatch(/Permission denied/);
    expect(look(join(own, folder)).status).not.toBe(0);
    expect(look(kept).status).not.toBe(0);
  });

  it('are refused when other users can write to them', async () => {
    chmodSync(kept, 0o777);
    await expect(openSnapshot(kept)).rejects.toMatchObject({
      code: 'SNAPSHOT',
      message: expect.stringContaining('other users may change it'),
    });
    chmodSync(kept, 0o700);
    await using snapshot = await openSnapshot(kept);
    expect(snapshot.name).toBe('kept');
  });
});

describe('the network of a guest', () => {
  let server: Server;
  let port: number;
  beforeAll(async () => {
    server = createServer((socket) => socket.end('host\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    port = typeof address === 'object' && address !== null ? address.port : 0;
  });
  afterAll(() => void server.close());

  it.each([
    ['restricted', ''],
    ['user', 'host\n'],
  ] as const)('with network %s, a request to a server on the loopback of the host gets %j', async (network, answer) => {
    await using guest = await boot(debian({ network }), { cache: true });
    await guest.exec(
      'ip link set lo up; for card in /sys/class/net/e*; do ip link set ${card##*/} up; ip addr add 10.0.2.15/24 dev ${card##*/}; done',
    );
    const heard = async (vm: Vm | undefined) =>
      (await vm?.exec(`exec 3<>/dev/tcp/10.0.2.2/${port} && cat <&3`, { timeout: '20s' }))?.stdout;
    expect(await heard(guest)).toBe(answer);
    // The same after a restore, and in forks.
    await guest.snapshot('up');
    await guest.restore('up');
    expect(await heard(guest)).toBe(answer);
    const fork = await guest.fork('up');
    expect(await heard(fork)).toBe(answer);
    await fork.close();
  });
});

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

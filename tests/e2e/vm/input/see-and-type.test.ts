import { readFileSync } from 'node:fs';
import { boot, debian, Wait, type Vm } from '@qmpilot/core';
import type { KeyboardLayout } from '@qmpilot/core/vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const XKB = JSON.parse(readFileSync(new URL('../../../fixtures/keyboard/xkb.json', import.meta.url), 'utf8')) as Record<
  KeyboardLayout,
  Record<string, (string | null)[]>
>;

/** Runs a command in a second; a timer of systemd may be late by a minute otherwise. */
const LATER = 'systemd-run --on-active=1 --timer-property=AccuracySec=100ms';

let vm: Vm;
beforeAll(async () => {
  vm = await boot(debian({ defect: 'io-uring-unlocked-flush' }), { display: 'std' });
});
afterAll(() => vm?.close());

const tty1 = async () => (await vm.expectOk('cat /dev/vcs1')).stdout;

describe('the graphical console', () => {
  it('takes 2000 characters without losing or repeating one', async () => {
    await vm.until(async () => (await tty1()).includes('root@'), { awaited: 'a prompt on tty1' });
    const line = 'The quick brown fox {jumps} over 13 "lazy" dogs; ~/.x && $(y) | [z] <Q> @#%^*_+=?!:,`\\\'';
    const text = `${line}\n`.repeat(Math.ceil(2000 / (line.length + 1)));
    expect(text.length).toBeGreaterThanOrEqual(2000);
    await vm.keyboard.type('cat > /run/typed\n');
    await vm.keyboard.type(text);
    await vm.keyboard.press('C-d');
    await vm.keyboard.type('echo done > /run/done\n');
    await vm.waitForFile('/run/done');
    expect((await vm.expectOk('cat /run/typed')).stdout).toBe(text);
  });

  it.each(['gb', 'de', 'fr'] as const)(
    'takes every character of the layout %s, from a guest that is set to it',
    async (layout) => {
      await vm.expectOk('busybox loadkmap', { input: kernelKeymap(layout) });
      // What X has and the tables leave out, as the Linux console does not agree.
      const left = { gb: '²³ßµ', de: '¬', fr: 'ß¬' }[layout];
      const plain = [...new Set(Object.values(XKB[layout]).flat())]
        .filter((character) => character !== null && !/[\u0300-\u036f]/.test(character) && !left.includes(character))
        .join('');
      // An acute or a diaeresis with the space bar is ' or " to the Linux console (drivers/tty/vt/keyboard.c, ret_diacr).
      const accents = { gb: '', de: '^`', fr: '^\u00ea\u00cb' }[layout];
      await vm.keyboard.type(`cat > /run/${layout}\n${plain}${accents}\n`, { layout });
      await vm.keyboard.press('C-d', { layout });
      await vm.keyboard.type(`touch /run/${layout}.done\n`, { layout });
      await vm.waitForFile(`/run/${layout}.done`);
      expect((await vm.expectOk(`cat /run/${layout}`)).stdout).toBe(`${plain}${accents}\n`);
      await vm.expectOk('busybox loadkmap', { input: kernelKeymap('us') });
    },
  );

  it('gives a picture as PNG', async () => {
    const png = await vm.screenshot();
    expect(png.subarray(0, 8)).toEqual(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]));
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([720, 400]);
    await vm.keyboard.type('clear\n');
    await vm.until(async () => !(await vm.screenshot()).equals(png), { awaited: 'another picture' });
  });
});

describe('waits', () => {
  it('for units: one that comes, one that fails at once, one that is not there', async () => {
    await vm.expectOk(
      `systemd-run --unit later --service-type=notify bash -c 'sleep 2; systemd-notify --ready; sleep 1000'  >&2 & sleep 0.2`,
    );
    await vm.waitForUnit('later');
    await vm.expectOk(
      `systemd-run --no-block --service-type=oneshot --unit broken bash -c 'echo no such luck; exit 7'`,
    );
    await expect(vm.waitForUnit('broken', { timeout: '30s' })).rejects.toMatchObject({
      code: 'UNIT_FAILED',
      message: 'the unit broken.service failed: exit-code, status 7; last line of its log: no such luck',
      evidence: { log: expect.arrayContaining(['no such luck']) },
    });
    await expect(vm.waitForUnit('nosuch.target')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('for ports, files and text, together, and say what they last saw', async () => {
    await vm.expectOk(
      `systemd-run --unit port bash -c 'sleep 1; touch /run/there; exec busybox nc -ll -p 4711 -e /bin/cat'`,
    );
    await vm.console.type('sleep 1; echo "$((40 + 2)) is the answer"\n');
    expect(
      await vm.waitFor(
        Wait.all(
          Wait.forPort(4711),
          Wait.forFile('/run/there'),
          Wait.forText(/4\d is the answer/),
          Wait.any(Wait.forUnit('port'), Wait.forFile('/never')),
        ),
      ),
    ).toEqual([4711, '/run/there', '42 is the answer', { index: 0, value: { unit: 'port.service', sub: 'running' } }]);
    await vm.expectOk(`${LATER} systemctl stop port`);
    await vm.waitForPort(4711, { closed: true });
    await vm.expectOk(`${LATER} rm /run/there`);
    await vm.waitForFile('/run/there', { gone: true });
    await vm.expectOk('test ! -e /run/there');
    // Long enough for one look each on a host with other work.
    const timeout = '10s';
    await Promise.all([
      expect(vm.waitForPort(4712, { timeout })).rejects.toMatchObject({
        code: 'TIMEOUT',
        message: expect.stringContaining('Connection refused'),
      }),
      expect(vm.waitForFile('/run/never', { timeout })).rejects.toMatchObject({
        message: expect.stringContaining('No such file'),
      }),
      expect(vm.waitForText('never', { row: -1, timeout })).rejects.toMatchObject({
        code: 'TIMEOUT',
        message: expect.stringContaining('last seen'),
      }),
    ]);
  });

  it('for sockets that listen, also under another name of the directory, and for commands', async () => {
    await vm.expectOk('ln -s /run /tmp/run; mkfifo /run/notsocket');
    const listen = 'systemd-socket-activate -l /run/it.sock cat';
    await vm.expectOk(`systemd-run --unit listens bash -c 'sleep 1; exec ${listen}'`);
    await vm.waitForSocket('/tmp/run/it.sock');
    await vm.waitForSocket('/run/systemd/notify');
    await vm.expectOk('systemctl stop listens');
    const timeout = '10s';
    await Promise.all([
      expect(vm.waitForSocket('/run/notsocket', { timeout })).rejects.toMatchObject({
        code: 'TIMEOUT',
        message: expect.stringMatching(/last seen: nobody listens: prw.*notsocket/),
      }),
      expect(vm.waitForSocket('/run/it.sock', { timeout })).rejects.toMatchObject({ code: 'TIMEOUT' }),
      expect(vm.waitForCommand('echo no luck yet; exit 3', { timeout, interval: '100ms' })).rejects.toMatchObject({
        message: expect.stringContaining('last seen: exit code 3: no luck yet'),
      }),
    ]);

    await vm.expectOk(`${LATER} touch /run/later`);
    expect(await vm.waitForCommand('cat /run/later && echo found')).toMatchObject({ stdout: 'found\n' });
    await vm.expectOk(`${LATER} rm /run/later`);
    expect(await vm.waitForCommand(['test', '-e', '/run/later'], { fails: true })).toMatchObject({ exitCode: 1 });
    const begun = Date.now();
    await expect(vm.waitForCommand('sleep 1000', { timeout: '10s' })).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(Date.now() - begun).toBeLessThan(30_000);
  });
});

describe('SysRq without a shell', () => {
  it.each(['keyboard', 'serial'] as const)('over the %s gives what the kernel printed', async (via) => {
    const lines = await vm.sysrq('w', { via });
    expect(lines[0]).toContain('Show Blocked State');
    expect(lines.join('\n')).not.toContain('HELP');
    expect((await vm.sysrq('m', { via })).join('\n')).toMatch(/Show Memory[^]*Node 0/);
  });

  it('refuses keys that do more than print', async () => {
    await expect(vm.sysrq('b', { via: 'keyboard' })).rejects.toMatchObject({ code: 'USAGE' });
  });
});

describe('stacks of a process', () => {
  it('gives both sides where it answers', async () => {
    await vm.expectOk('systemd-run --unit sleeper sleep 1000');
    const pid = Number((await vm.expectOk('systemctl show -P MainPID sleeper')).stdout);
    const stacks = await vm.stacks(pid);
    expect(stacks).toMatchObject({ pid, comm: 'sleep', threads: [{ tid: pid, state: 'S', inKernelOnly: false }] });
    expect(stacks.userUnavailable).toBeUndefined();
    expect(stacks.threads[0]?.kernel.map((frame) => frame.function)).toContain('hrtimer_nanosleep');
    expect(stacks.threads[0]?.user?.map((frame) => frame.function).join()).toMatch(/nanosleep/);
    expect((await vm.expectOk(`ps -o stat= -p ${pid}`)).stdout).toMatch(/^S/);
  });

  it('knows threads of the kernel, and processes that are not there', async () => {
    expect(await vm.stacks(2)).toMatchObject({ comm: 'kthreadd', userUnavailable: 'it is a thread of the kernel' });
    await expect(vm.stacks(4_000_000)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(vm.stacks(-1)).rejects.toMatchObject({ code: 'USAGE' });
  });
});

/** A keymap as `loadkmap` takes it, made from what xkb-data has: 256 flags, then 128 codes for each modifier that is in use. */
function kernelKeymap(layout: KeyboardLayout): Buffer {
  const tables = [0, 1, 2, 4, 8];
  const map = Buffer.alloc(7 + 256 + tables.length * 256);
  map.write('bkeymap');
  for (const [place, modifiers] of tables.entries()) {
    map[7 + modifiers] = 1;
    for (let code = 0; code < 128; code += 1)
      map.writeUInt16LE(keySymbol(layout, code, modifiers), 7 + 256 + place * 256 + code * 2);
  }
  return map;
}

const DEAD = ['\u0300', '\u0301', '\u0302', '\u0303', '\u0308', '\u0327'];
/** linux/keyboard.h: what keys are that type nothing. */
const OTHER: Record<number, number> = {
  28: 0x201,
  14: 0x7f,
  15: 9,
  1: 27,
  29: 0x702,
  97: 0x702,
  42: 0x700,
  54: 0x700,
  56: 0x703,
  100: 0x701,
  57: 32,
};

function keySymbol(layout: KeyboardLayout, code: number, modifiers: number): number {
  const other = OTHER[code];
  if (other !== undefined) return other;
  const level = { 0: 0, 1: 1, 2: 2, 4: 0, 8: 0 }[modifiers] ?? 0;
  const character = XKB[layout][code]?.[level];
  if (!character) return 0x200;
  if (DEAD.includes(character)) return 0x400 + DEAD.indexOf(character);
  const point = character.codePointAt(0) ?? 0;
  if (modifiers === 4) return /[a-z]/.test(character) ? point & 0x1f : 0x200;
  if (modifiers === 8) return 0x800 + (point & 0x7f);
  if (/[a-zA-Z]/.test(character)) return 0xb00 + point;
  return point < 0x80 ? point : point ^ 0xf000;
}

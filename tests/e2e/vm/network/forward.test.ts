import { boot, debian, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let vm: Vm;
beforeAll(async () => {
  vm = await boot(debian({ ports: [8000] }), { cache: true });
  await vm.expectOk('mkdir -p /srv/www && echo first > /srv/www/page && busybox httpd -p 8000 -h /srv/www');
  await vm.expectOk('busybox httpd -p 8001 -h /srv/www');
});
afterAll(() => vm?.close());

/** A page of the guest's web server, over a new connection. */
async function page(url: string): Promise<string> {
  const response = await fetch(`${url}/page`, { headers: { connection: 'close' } });
  return (await response.text()).trim();
}

describe('forwarded ports', () => {
  it('lead to the guest, with the same port of the host after a snapshot and a restore', async () => {
    const declared = await vm.forward(8000);
    const added = await vm.forward(8001);
    expect(declared.url).toBe(`http://127.0.0.1:${declared.port}`);
    expect(await vm.forward(8001)).toEqual(added);
    expect([await page(declared.url), await page(added.url)]).toEqual(['first', 'first']);

    await vm.snapshot('served');
    expect([await page(declared.url), await page(added.url)]).toEqual(['first', 'first']);

    await vm.expectOk('echo second > /srv/www/page');
    expect(await page(added.url)).toBe('second');
    await vm.restore('served');
    expect([await page(declared.url), await page(added.url)]).toEqual(['first', 'first']);
    expect(await vm.forward(8001)).toEqual(added);
  });

  it('are those of each fork alone', async () => {
    const own = await vm.forward(8000);
    await using fork = await vm.fork('served');
    const ofFork = [await fork.forward(8000), await fork.forward(8001)];
    expect(ofFork.map(({ port }) => port)).not.toContain(own.port);
    await fork.expectOk('echo fork > /srv/www/page');
    expect(await Promise.all(ofFork.map(({ url }) => page(url)))).toEqual(['fork', 'fork']);
    expect(await page(own.url)).toBe('first');
  });

  it('that a monitor command of QEMU made go on after a snapshot as well', async () => {
    await vm.qmp.hmp('hostfwd_add tcp:127.0.0.1:0-:8002');
    const { port } = await vm.forward(8002);
    await vm.snapshot('again');
    expect(await vm.forward(8002)).toMatchObject({ port });
  });

  it('do not answer while the cable of the network card is unplugged', async () => {
    const carrier = 'cat /sys/class/net/e*/carrier';
    expect((await vm.expectOk(carrier)).stdout).toBe('1\n');
    await vm.qmp.execute('set_link', { name: 'net0', up: false });
    expect(await vm.waitForCommand(`test $(${carrier}) = 0`)).toMatchObject({ exitCode: 0 });
    await vm.qmp.execute('set_link', { name: 'net0', up: true });
    await vm.waitForCommand(`test $(${carrier}) = 1`);
    expect(await page((await vm.forward(8000)).url)).toBe('first');
  });

  it.each([0, 65_536, 1.5])('refuses the port %s', async (port) => {
    await expect(vm.forward(port)).rejects.toMatchObject({ code: 'USAGE' });
  });
});

import { boot, debian, Wait, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, expect, it } from 'vitest';

let vm: Vm;
beforeAll(async () => {
  vm = await boot(debian(), { cache: true });
});
afterAll(() => vm?.close());

it('runs a program on a terminal of its own, which can be typed into', async () => {
  await using process = await vm.spawn('read -rp "your name? " name; echo "hello $name, $PWD $A"; exit 7', {
    cwd: '/tmp',
    env: { A: 'b c' },
  });
  await process.console.expect('your name? ');
  await process.console.type('you\n');
  expect(await process.exited).toBe(7);
  expect(process.console.lines()).toEqual(['your name? you', 'hello you, /tmp b c']);
});

it('gives the program a terminal with a size, signals and job control, also as another user', async () => {
  await using process = await vm.spawn(['bash', '--norc'], { columns: 100, rows: 30, user: 'nobody' });
  const { console } = process;
  await console.expect(/\$ $/);
  await console.type('stty size; whoami\n');
  await console.expect(/^30 100\nnobody\n/m);
  await console.resize(120, 40);
  await console.type('stty size\n');
  await console.expect(/^40 120\n/m);
  await console.type('sleep 1000\n');
  // Earlier, the terminal would drop the line as well.
  await vm.waitForCommand('pgrep -x sleep');
  await console.press('C-z');
  await console.expect(/Stopped +sleep 1000/);
  await console.type('fg\n');
  await console.expect(/^sleep 1000\n/m);
  await console.press('C-c');
  await console.expect(/\^C\n.*\$ $/);
  await console.type('echo code $?; exit 5\n');
  await console.expect(/^code 130\n/m);
  expect(await process.exited).toBe(5);
});

it('has two at once, beside commands, and says when no console is left; a closed one is free again', async () => {
  const first = await vm.spawn('sleep 1000');
  const second = await vm.spawn('sleep 1000');
  await vm.waitForCommand('test "$(pgrep -c -x sleep)" = 2');
  await expect(vm.spawn('true')).rejects.toMatchObject({ code: 'USAGE', message: expect.stringContaining('spare') });
  await first.close();
  await expect(first.exited).resolves.toBe(137);
  await using third = await vm.spawn('true');
  expect(await third.exited).toBe(0);
  const stop = second.kill();
  expect(await second.exited).toBe(137);
  await stop;
  await second.close();
  expect((await vm.expectFail('pgrep -x sleep')).exitCode).toBe(1);
  await expect(vm.expectFail('echo fine')).rejects.toMatchObject({
    code: 'COMMAND_SUCCEEDED',
    evidence: { stdout: ['fine'] },
  });
  const shell = await vm.openShell();
  expect(shell.kind).toBe('console');
  shell.close();
});

it('tells the exit code also when the host did not read while the program ended', async () => {
  await using process = await vm.spawn('read; seq 1 20000; touch /tmp/over; exit 9');
  // More than the sockets between QEMU and the host hold, which is little in pieces of 16 bytes: QEMU drops the rest.
  const release = process.console.channel.hold();
  await process.console.type('\n');
  await vm.waitForFile('/tmp/over');
  await vm.waitForCommand('! pgrep -x seq');
  release();
  expect(await process.exited).toBe(9);
  expect(process.console.lines()).not.toContain('20000');
});

it('gives up the start of a program soon after its signal, in a guest that does not answer', async () => {
  await vm.pause();
  const begun = performance.now();
  try {
    await expect(vm.spawn('true', { signal: AbortSignal.timeout(500) })).rejects.toMatchObject({ code: 'ABORTED' });
    expect(performance.now() - begun).toBeLessThan(15_000);
  } finally {
    await vm.resume();
  }
  await vm.waitFor(
    Wait.until(async () => {
      await using process = await vm.spawn('exit 4');
      return (await process.exited) === 4;
    }),
  );
});

it('ends with the signal, and streams a command while another hangs', async () => {
  const stop = new AbortController();
  await using process = await vm.spawn('sleep 1000', { signal: stop.signal });
  stop.abort();
  expect(await process.exited).toBe(137);
  const hung = vm.stream('echo begun; sleep 1000', { signal: AbortSignal.timeout(60_000) });
  const stream = await vm.stream('for i in 1 2 3; do echo $i; done; exit 3', { timeout: '50s' });
  let text = '';
  for await (const { bytes } of stream) text += bytes.toString();
  expect(text).toBe('1\n2\n3\n');
  expect(await stream.result).toMatchObject({ exitCode: 3 });
  for await (const { bytes } of await hung) {
    expect(bytes.toString()).toBe('begun\n');
    break;
  }
  await expect((await hung).result).rejects.toThrow();
});

it('rejects when the VM is restored, and knows invalid arguments', async () => {
  await vm.snapshot('before');
  const process = await vm.spawn('cat');
  await vm.restore('before');
  await expect(process.exited).rejects.toMatchObject({
    code: 'SHELL_LOST',
    message: expect.stringContaining('restored'),
  });
  await process.close();
  await using again = await vm.spawn('tty');
  expect(await again.exited).toBe(0);
  await expect(vm.spawn('x', { timeout: 1 } as object)).rejects.toMatchObject({
    message: 'spawn: options.timeout: unknown option',
  });
});

import { boot, debian, type Vm } from '@qmpilot/core';
import { afterAll, beforeAll, expect, it } from 'vitest';

let vm: Vm;
beforeAll(async () => {
  vm = await boot(debian({ defect: 'io-uring-unlocked-flush' }), { cache: true });
});
afterAll(() => vm?.close());

it("drives the report's three panes by the screen alone: kill -9 typed at the bottom, D state in the middle, the loop stopped at the top", async () => {
  const { console } = vm;
  const { screen } = console;
  await vm.expectOk(
    '/usr/lib/qmpilot/load-defect; sysctl -q kernel.hung_task_timeout_secs=5 kernel.hung_task_check_interval_secs=2',
  );
  await console.resize(100, 36);
  await console.type('cd /root/project; tmux new-session -s repro\n');
  await screen.waitFor(/\[repro\]/, { row: -1 });
  expect(screen.panes()).toHaveLength(1);

  await console.type('while true; do npm ci; done');
  await screen.waitFor('npm ci; done', { pane: 0 });
  await console.press('C-b', '"');
  await screen.waitFor(/project# *$/m, { pane: 1 });
  await console.type(`watch -n 1 'ps -p $(pidof "npm ci") u'\n`);
  await screen.waitFor(/Every 1\.0s/, { pane: 1 });
  await console.press('C-b', '"');
  await screen.waitFor(/project# *$/m, { pane: 2 });
  await console.type('kill -9 $(pidof "npm ci")');
  await screen.waitFor(/kill -9/, { pane: 2 });
  expect(screen.panes().map(({ active }) => active)).toEqual([false, false, true]);

  await console.press('C-b', 'o', 'Enter');
  // The kernel's reports go across the screen, and are in no pane.
  await screen.waitFor(/INFO: task .* blocked for more than \d+ seconds/, { timeout: '10m' });
  expect(screen.panes()).toHaveLength(3);
  expect(
    screen
      .panes()
      .map(({ text }) => text)
      .join(),
  ).not.toContain('INFO: task');

  await console.press('C-b', ';', 'Enter');
  await screen.waitFor(/kill -9[^\n]*\n+[^\n]*project# *$/m, { pane: 2 });
  const shown = await screen.waitFor(/root +(\d+) .* Dl?\+ .*npm ci/, { pane: 1, timeout: '1m' });
  await screen.settle({ pane: 0, quiet: '8s', timeout: '1m' });
  await screen.waitFor(/ Dl?\+ /, { pane: 1 });
  expect(screen.program.toSvg()).toMatch(/ Dl?\+ .*npm ci/);

  const stacks = await vm.stacks(Number(shown.groups[0]));
  expect(stacks.userUnavailable).toMatch(/is in state D in \S+/);
  expect(stacks.threads.flatMap(({ kernel }) => kernel.map((frame) => frame.function)).join()).toMatch(/io_uring/);
});

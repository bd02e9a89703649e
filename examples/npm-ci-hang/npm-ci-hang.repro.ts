/**
 * The loop of nodejs/node#55587, step for step: `npm ci` again and again in one tmux pane, `ps` in a second, `kill -9`
 * typed and waiting in a third. Linux 6.6.58 hangs there by itself. This guest has a stock Debian kernel and a module of ours
 * (packages/core/guest/modules/io-uring-lock-leak) which puts io_uring into the state that 6.6.58 reached: the lock of a
 * ring is locked for ever, at a random submission. `nix/` has the original kernel.
 */
import { debian, defineScenario, describeKillEffect, isQmpilotError, parseThreadSample, THREAD_SAMPLE_SCRIPT, type Vm } from '@qmpilot/core';

/** One lock leaked in so many submissions: `npm ci` makes about 3500 of them, so that about half of the attempts hang. */
const ONE_IN = 7000;
/** How long the loop runs before an attempt counts as clean. */
const LOOP = '25s';

const sample = async (vm: Vm) => parseThreadSample((await (vm.samplingShell ?? vm.shell).expectOk(THREAD_SAMPLE_SCRIPT)).stdout);

export default defineScenario({
  name: 'npm-ci-hang',
  guest: debian({ defect: 'io-uring-lock-leak' }),
  timeout: '2m',

  async prepare(vm, { note }) {
    // The kernel's own report comes after 120 s by default.
    await vm.expectOk('sysctl -q kernel.hung_task_timeout_secs=10 kernel.hung_task_check_interval_secs=5');
    await vm.console.type('stty rows 40 cols 110; cd /root/project\n');
    vm.console.screen.resize(110, 40);
    // In a scope of the user manager, as a tmux with systemd support would do by itself.
    await vm.console.type('systemd-run --user --scope --quiet tmux new-session -s repro\n');
    const { screen } = vm.console;
    await screen.waitFor(/\[repro\]/, { row: -1 });
    await screen.waitFor(/root@qmpilot:~\/project# $/m);
    // The first run fills the guest's page cache: after it each takes the same time.
    await vm.expectOk('cd /root/project && npm ci', { timeout: '2m' });
    await vm.console.type('while true; do npm ci; done');
    await screen.waitFor('while true; do npm ci; done');

    await vm.console.press('C-b', '"');
    await vm.console.type(`watch -d 'ps -p $(pidof "npm ci") u'\n`);
    await screen.waitFor(/Every 2\.0s/);

    await vm.console.press('C-b', '"');
    await screen.waitFor(/─{20}[^]*─{20}\n[^\n]*project# /);
    await vm.console.type('kill -9 $(pidof "npm ci")');
    await screen.waitFor(/kill -9/);
    note('three panes are ready, and the loop waits for its Enter');
    // To the next pane: the first one.
    await vm.console.press('C-b', 'o');
  },

  async attempt(vm, { signal, seed, watch, note, attach }) {
    const { screen } = vm.console;
    await vm.expectOk(`/usr/lib/qmpilot/load-defect ${ONE_IN} ${seed}`, { signal });
    await vm.console.press('Enter');

    const stuck = await watch.first({ kind: 'd-state', timeout: LOOP, signal }).catch((error: unknown) => {
      if (isQmpilotError(error, 'TIMEOUT')) return undefined;
      throw error;
    });
    if (!stuck) return;
    attach('screen-stuck.txt', screen.text());

    const before = await sample(vm);
    await vm.console.press('C-b', ';', 'Enter');
    await screen.waitFor(/kill -9[^\n]*\n+[^\n]*project# ?$/m, { signal, timeout: '10s' }).catch(() => {});
    const effects = describeKillEffect(before, await sample(vm));
    for (const { summary } of effects) note(summary);
    attach('kill.json', `${JSON.stringify(effects, null, 2)}\n`);

    await watch.first({ kind: 'hung-task', timeout: '60s', signal });
    attach('sysrq-w.txt', `${(await vm.sysrq('w', { signal })).join('\n')}\n`);
    attach('screen.txt', screen.text());
  },

  detect: {
    hungTask: true,
    dState: { comm: /npm|node|iou-sqp/, for: '10s' },
    poweroff: { timeout: '45s' },
  },
});

import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const BIN = fileURLToPath(new URL('../../../packages/cli/dist/bin.js', import.meta.url));
/** Each without the files of the user who runs the tests, and without a history, which it would write when its terminal is gone. */
const SHELLS = {
  bash: { start: 'bash --norc --noprofile -i', load: 'eval "$(qmpilot completion bash)"' },
  zsh: { start: 'zsh -f -i', load: 'autoload -U compinit; compinit -u -D; eval "$(qmpilot completion zsh)"' },
  fish: { start: 'fish --no-config -i', load: 'qmpilot completion fish | source' },
} as const;
const isThere = (program: string) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;

let dir: string;
/** In place of the daemons: a VM runs while its socket takes connections. */
const daemons: Server[] = [];
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-tab-'));
  for (const name of ['web-one', 'web-two', 'database']) {
    mkdirSync(join(dir, 'state', 'vms', name), { recursive: true, mode: 0o700 });
    writeFileSync(
      join(dir, 'state', 'vms', name, 'vm.json'),
      JSON.stringify({ v: 1, name, guest: 'debian', createdAt: new Date().toISOString() }),
    );
    const daemon = createServer((socket) => socket.on('error', () => {}).end());
    daemons.push(daemon.listen(join(dir, 'state', 'vms', name, 'daemon.sock')));
    await once(daemon, 'listening');
  }
  writeFileSync(join(dir, 'qmpilot'), `#!/bin/sh\nexec '${process.execPath}' '${BIN}' "$@"\n`);
  chmodSync(join(dir, 'qmpilot'), 0o755);
});
afterAll(() => {
  tmux('kill-server');
  for (const daemon of daemons) daemon.close();
  rmSync(dir, { recursive: true, force: true });
});

const socket = `qmpilot-tab-${process.pid}`;
function tmux(...args: readonly string[]): string {
  return spawnSync('tmux', ['-L', socket, '-f', '/dev/null', ...args], { encoding: 'utf8' }).stdout;
}

describe.each(['bash', 'zsh', 'fish'] as const)('completion in %s, at a terminal', (shell) => {
  it.skipIf(!isThere(shell))(
    `completes a command, a vm's name, and shows the names between which it cannot choose (needs ${shell})`,
    async () => {
      const { start, load } = SHELLS[shell];
      execFileSync('tmux', [
        '-L',
        socket,
        '-f',
        '/dev/null',
        'new-session',
        '-d',
        '-s',
        shell,
        '-x',
        '100',
        '-y',
        '30',
        `env HISTFILE=/dev/null fish_history= HOME=${dir} QMPILOT_STATE=${dir}/state PATH=${dir}:$PATH LC_ALL=C.UTF-8 TERM=screen ${start}`,
      ]);
      const type = (text: string) => tmux('send-keys', '-t', shell, '-l', '--', text);
      const shown = (what: string | RegExp) =>
        expect.poll(() => tmux('capture-pane', '-p', '-t', shell), { timeout: 30_000, interval: 100 }).toMatch(what);
      await shown(/[#$%>] *\n/);
      type(`${load}; echo load''ed\r`);
      await shown(/^loaded/m);

      // The key after the text is on the screen: a shell that is still drawing may drop it.
      const complete = async (text: string) => {
        type(text);
        await shown(new RegExp(`${text} *$`, 'm'));
        type('\t');
      };
      await complete('qmpilot power');
      await shown(/qmpilot poweroff$/m);
      await complete('d');
      await shown(/qmpilot poweroff database/);
      type('\x15');
      await complete('qmpilot screen web-t');
      await shown(/qmpilot screen web-two/);
      type('\x15');
      await complete('qmpilot exec w');
      await shown(/qmpilot exec web-/);
      type('\t\t');
      await shown(/web-one\s+web-two/);
    },
  );
});

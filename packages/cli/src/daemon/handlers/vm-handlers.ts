import type { PoweroffReport } from '@qmpilot/core';
import type { SnapshotInfo } from '@qmpilot/core/vm';
import type { HostedVm } from '../hosted-vm.js';
import type { Handlers } from '../server.js';
import { monitorConsole } from './monitor-console.js';
import { runCommand } from './run-command.js';
import { runOnTerminal } from './run-on-terminal.js';
import { serveGdb } from './serve-gdb.js';
import { awaitCondition } from './wait-request.js';

/** Outcomes after which QEMU has ended. */
const OVER: ReadonlySet<PoweroffReport['outcome']> = new Set(['clean', 'slow', 'killed']);

/** Returns the handlers of all verbs for one VM. */
export function vmHandlers(
  hosted: HostedVm,
  fork: (from: HostedVm, snapshot: string, name: string) => Promise<HostedVm>,
): Handlers {
  return { ...lifeHandlers(hosted, fork), ...whenOn(hosted, guestHandlers(hosted)) };
}

/** Handlers that also work on a VM that is off. */
function lifeHandlers(
  hosted: HostedVm,
  fork: (from: HostedVm, snapshot: string, name: string) => Promise<HostedVm>,
): Pick<Handlers, 'status' | 'removeSnapshot' | 'restore' | 'fork' | 'stop'> {
  const { vm } = hosted;
  return {
    status: () => hosted.status(),

    async removeSnapshot({ args }) {
      await vm.removeSnapshot(args.snapshot);
      return null;
    },

    async restore({ args, signal }) {
      const begun = performance.now();
      await vm.restore(args.snapshot, { signal });
      hosted.follow();
      return { ms: Math.round(performance.now() - begun) };
    },

    async fork({ args }) {
      return (await fork(hosted, args.snapshot, args.name)).status();
    },

    async stop() {
      // Answer first: the end of the VM closes the connection.
      setImmediate(() => void hosted.end('stopped'));
      return null;
    },
  };
}

/** Handlers that need a running guest. */
function guestHandlers(hosted: HostedVm): Omit<Handlers, keyof ReturnType<typeof lifeHandlers>> {
  const { vm } = hosted;
  return {
    exec: (call) => runCommand(vm, call),

    console: (call) => monitorConsole(vm, call),

    terminal: (call) => runOnTerminal(vm, call),

    async type({ args, signal }) {
      await vm.console.type(args.text, { signal });
      return null;
    },

    async press({ args }) {
      await vm.console.press(...args.keys);
      return null;
    },

    async screen({ args }) {
      const { screen } = vm.console;
      await screen.drawn();
      const forms = { text: () => screen.text(), svg: () => screen.toSvg(), html: () => screen.toHtml() };
      const [rows, columns] = [screen.rowCount, screen.columns];
      return { text: forms[args.form](), rows, columns, cursor: screen.cursor };
    },

    async screenshot({ signal }) {
      return { png: (await vm.screenshot({ signal })).toString('base64') };
    },

    async snapshot({ args, signal }) {
      return infoOf(await hosted.takeSnapshot(args.snapshot, signal));
    },

    async saveSnapshot({ args, signal }) {
      const snapshot = hosted.taken(args.snapshot) ?? (await hosted.takeSnapshot(args.snapshot, signal));
      await snapshot.save(args.directory, { signal });
      return infoOf(snapshot);
    },

    async copyIn({ args: { from, to, timeout }, signal }) {
      return vm.copyIn(from, to, { signal, timeout });
    },

    async copyOut({ args: { from, to, timeout }, signal }) {
      return vm.copyOut(from, to, { signal, timeout });
    },

    async wait({ args: { timeout, ...request }, signal }) {
      await awaitCondition(vm, request, { signal, timeout });
      return null;
    },

    async sysrq({ args, signal }) {
      return { lines: await vm.sysrq(args.key, { signal }) };
    },

    async stacks({ args, signal }) {
      return vm.stacks(args.pid, { signal });
    },

    async diagnose({ signal }) {
      return vm.diagnose({ signal });
    },

    async explain({ args, signal }) {
      return vm.explain({ signal, minWait: args.minWait, btf: args.btf });
    },

    async dump({ args: { path, format, paging, timeout }, signal }) {
      await vm.dump(path, { format, paging, timeout, signal });
      return null;
    },

    gdb: (call) => serveGdb(vm, call),

    async poweroff({ args, signal, send }) {
      const forget = vm.onEvent((event) => {
        if (event.type === 'poweroff') void send({ phase: event.phase });
      });
      try {
        const report = await vm.poweroff({ signal, timeout: args.timeout });
        if (OVER.has(report.outcome)) hosted.qemuEnded(poweroffReason(report));
        return report;
      } finally {
        forget();
      }
    },
  };
}

function whenOn<H extends object>(hosted: HostedVm, handlers: H): H {
  const entries = Object.entries(handlers) as [string, (call: never) => Promise<unknown>][];
  return Object.fromEntries(
    entries.map(([verb, handler]) => [
      verb,
      async (call: never) => {
        hosted.assertOn();
        return handler(call);
      },
    ]),
  ) as H;
}

function infoOf({ name, strategy, reason, savedAt, pausedMs }: SnapshotInfo): SnapshotInfo {
  return { name, strategy, reason, savedAt, pausedMs };
}

/** The outcome of a poweroff as the reason why a VM has ended. */
function poweroffReason({ outcome, reason }: PoweroffReport): string {
  return outcome === 'clean' || outcome === 'slow' ? 'powered off' : `poweroff: ${reason}`;
}

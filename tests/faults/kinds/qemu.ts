import { setTimeout as after } from 'node:timers/promises';
import { signalAll } from '../../support/host-processes.js';
import { cutSocket } from '../../support/host-tools.js';
import { pick } from '../random.js';
import type { FaultKind, Injection } from './fault-kind.js';

const ANY_END = [0, 1, 125];
/** Descriptors that QEMU inherits, by qemu/machine.ts. */
const [QMP_FD, CONSOLE_FD] = [3, 4];

const signalled =
  (signal: NodeJS.Signals) =>
  async ({ run, controller, random }: Injection) => {
    const qemu = pick(await run.qemus(controller), random);
    if (qemu) signalAll([qemu], signal);
    return undefined;
  };

const cut =
  (fd: number) =>
  async ({ run, controller, random }: Injection) => {
    const qemu = pick(await run.qemus(controller), random);
    const why = qemu && cutSocket(qemu.pid, fd);
    // A QEMU that ended meanwhile was no place for the fault.
    return why !== undefined && /not permitted|denied|not implemented/i.test(why) ? why : undefined;
  };

export const QEMU_FAULTS: readonly FaultKind[] = [
  {
    name: 'QEMU gets SIGKILL',
    exits: ANY_END,
    says: /QEMU .*(killed by SIGKILL|exited|ended)|QEMU closed the link|QMP|console ttyS0 was ended/,
    inject: signalled('SIGKILL'),
  },
  {
    name: 'QEMU gets SIGTERM',
    exits: ANY_END,
    says: /QEMU .*(killed|exited|ended)|QEMU closed the link|QMP|console ttyS0 was ended/,
    inject: signalled('SIGTERM'),
  },
  {
    name: 'QEMU gets SIGSTOP',
    exits: ANY_END,
    says: /QEMU .*was stopped by a signal|--version failed/,
    inject: signalled('SIGSTOP'),
  },
  {
    name: 'QEMU gets SIGSTOP, and SIGCONT a second later',
    exits: ANY_END,
    says: /^$/,
    async inject(injection) {
      const qemus = await injection.run.qemus(injection.controller);
      signalAll(qemus, 'SIGSTOP');
      await after(1000);
      signalAll(qemus, 'SIGCONT');
      return undefined;
    },
  },
  {
    name: 'the QMP socket is cut',
    exits: ANY_END,
    says: /QEMU closed the link|QMP|QEMU .*(killed|exited|ended)/,
    inject: cut(QMP_FD),
  },
  {
    name: 'the console socket is cut',
    exits: ANY_END,
    says: /console ttyS0 was ended|CONSOLE_CLOSED/,
    inject: cut(CONSOLE_FD),
  },
];

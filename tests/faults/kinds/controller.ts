import { setTimeout as after } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { processesOf, signalAll } from '../../support/host-processes.js';
import type { FaultKind, Injection } from './fault-kind.js';

const CLOCK = fileURLToPath(new URL('../clock-back.mjs', import.meta.url));
const signalled =
  (signal: NodeJS.Signals) =>
  async ({ controller }: Injection) => {
    controller.kill(signal);
    return undefined;
  };

/** Before it listens to signals, one ends it as it ends any program. */
export const CONTROLLER_FAULTS: readonly FaultKind[] = [
  { name: 'the controller gets SIGKILL', exits: ['SIGKILL'], says: /^$/, inject: signalled('SIGKILL') },
  {
    name: 'the controller gets SIGTERM',
    exits: [143, 'SIGTERM'],
    says: /SIGTERM: ending the run/,
    inject: signalled('SIGTERM'),
  },
  {
    name: 'the controller gets SIGHUP',
    exits: [129, 'SIGHUP'],
    says: /SIGHUP: ending the run/,
    inject: signalled('SIGHUP'),
  },
  {
    name: 'the controller gets SIGINT twice',
    exits: [130, 'SIGINT'],
    says: /SIGINT: ending the run/,
    async inject({ controller, random }) {
      controller.kill('SIGINT');
      await after(random() * 100);
      controller.kill('SIGINT');
      return undefined;
    },
  },
  {
    name: 'all of it sleeps for four seconds',
    exits: [1],
    says: /^$/,
    async inject({ run }) {
      const processes = processesOf(run.base);
      signalAll(processes, 'SIGSTOP');
      await after(4000);
      signalAll(processes, 'SIGCONT');
      return undefined;
    },
  },
  {
    name: "the controller's clock is set back an hour",
    exits: [1],
    says: /^$/,
    start: (_, random) => ({
      env: { NODE_OPTIONS: `--import ${CLOCK}`, FAULT_CLOCK_MS: String(Math.round(random() * 3000)) },
    }),
  },
  {
    name: 'a second run in the same directory',
    exits: [1],
    says: /^$/,
    async inject({ run }) {
      const ends = await Promise.all([run.resume().ended, run.start().ended]);
      const wrong = ends.filter(
        ({ code, stderr }) =>
          code !== 2 || !/another qmpilot process uses|is not empty|run.json cannot be read/.test(stderr),
      );
      if (wrong.length > 0 && wrong.every(({ code }) => code !== 1))
        throw new Error(`a second run was not refused: ${JSON.stringify(wrong)}`);
      return undefined;
    },
  },
];

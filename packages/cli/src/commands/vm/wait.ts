import { QmpilotError } from '@qmpilot/core';
import type { Command } from 'commander';
import { duration, portNumber } from '../../arguments.js';
import { call } from '../../daemon/client.js';
import type { WaitRequest } from '../../daemon/handlers/wait-request.js';
import { helpText } from '../../help.js';
import { interruptible } from '../../interrupt.js';

interface WaitCommandOptions {
  readonly unit?: string;
  readonly port?: number;
  readonly closed?: number;
  readonly socket?: string;
  readonly file?: string;
  readonly gone?: string;
  readonly text?: string;
  readonly command?: string;
  readonly fails?: string;
  readonly timeout?: number;
}

const HELP = `
Give exactly one condition.

  qmpilot wait web --unit nginx --timeout 30s
  qmpilot wait web --command 'curl -fs localhost:8080'

Exit status: 0 the condition is met; 125 it was not met in time, or cannot be met any more (such as a unit that failed).`;

export function registerWait(program: Command): void {
  program
    .command('wait')
    .description('wait until a unit, port, file, text or command of a VM is ready')
    .argument('<vm>', 'name of the VM')
    .option('--unit <name>', 'until this systemd unit is active')
    .option('--port <n>', 'until this TCP port accepts connections in the guest', portNumber)
    .option('--closed <n>', 'until this TCP port refuses connections in the guest', portNumber)
    .option('--socket <path>', 'until a process listens on this Unix socket')
    .option('--file <path>', 'until this file exists')
    .option('--gone <path>', 'until this file does not exist')
    .option('--text <text>', 'until the serial console shows this text')
    .option('--command <command>', 'until this shell command exits with 0')
    .option('--fails <command>', 'until this shell command exits with a status other than 0')
    .option('--timeout <time>', 'time limit (default: 1m)', duration)
    .addHelpText('after', helpText(HELP))
    .action(async (name: string, { timeout, ...conditions }: WaitCommandOptions) => {
      const request = waitRequest(conditions);
      await interruptible('cancelling', (signal) => call(name, 'wait', { ...request, timeout }, { signal }));
    });
}

function waitRequest(conditions: Omit<WaitCommandOptions, 'timeout'>): WaitRequest {
  const given: WaitRequest[] = Object.entries(conditions).map(([kind, value]) => ({
    kind: kind as keyof typeof conditions,
    value: String(value),
  }));
  const [request] = given;
  if (request && given.length === 1) return request;
  throw new QmpilotError('USAGE', `wait: ${given.length === 0 ? 'no condition' : 'several conditions'} given`, {
    hint: 'give exactly one condition: see qmpilot wait --help',
  });
}

import { openPty, type Pty } from '@qmpilot/core/testing';
import { afterAll } from 'vitest';
import { Channel } from '../../packages/core/src/console/channel.js';
import { ConsoleShell } from '../../packages/core/src/shell/console-shell/console-shell.js';

/** The terminals of this file's tests, closed after them. */
export const ptys: Pty[] = [];
afterAll(() => ptys.forEach((pty) => pty.close()));

/** A console shell on a command that runs on a terminal of this host. */
export function shellOn(command: string): { shell: ConsoleShell; channel: Channel } {
  const pty = openPty(command);
  ptys.push(pty);
  const channel = new Channel('hvc0');
  channel.attach(pty.stream);
  return { shell: new ConsoleShell(channel), channel };
}

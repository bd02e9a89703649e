import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import { expect, it } from 'vitest';
import { Link } from './link.js';

it('delivers what the peer said before it ended, also when a command is sent before that is read', async () => {
  const child = spawn('sh', ['-c', 'read command <&3; echo \'{"event":"SHUTDOWN"}\' >&3'], {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  });
  const stream = child.stdio[3];
  if (!(stream instanceof Duplex)) throw new Error('no stream');
  const events: unknown[] = [];
  const link = new Link(stream, { peer: 'the child', onMessage: (message) => events.push(message), onEnd: () => {} });
  link.send('{"execute":"quit"}\n');
  await new Promise<void>((resolve) => {
    // Behind the immediates, in which the command is written.
    setImmediate(() => {
      // Node.js is busy while the child writes and ends.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
      link.send('{"execute":"query-status"}\n');
      resolve();
    });
  });
  await link.closed;
  expect(events).toEqual([{ event: 'SHUTDOWN' }]);
});

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { QmpilotError } from '@qmpilot/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fromWireError, readMessages, sendMessage, toWireError } from './wire.js';

let dir: string;
let server: Server;
let client: Socket;
let served: Socket;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'qmpilot-wire-'));
  server = createServer();
  server.listen(join(dir, 's'));
  await once(server, 'listening');
  const connected = once(server, 'connection');
  client = createConnection(join(dir, 's'));
  [served] = (await connected) as [Socket];
});
afterEach(() => {
  client.destroy();
  server.close();
  rmSync(dir, { recursive: true });
});

async function all(socket: Socket): Promise<object[]> {
  const messages = [];
  for await (const message of readMessages(socket)) messages.push(message);
  return messages;
}

describe('the messages between a command and a daemon', () => {
  it('come whole and in order, however they are cut, also inside a character', async () => {
    const reading = all(served);
    sendMessage(client, { text: 'Ünï' });
    const bytes = Buffer.from('{"text":"漢"}\n{"n":2}\n{"n":');
    for (const byte of bytes) {
      client.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    client.end('3}\n');
    expect(await reading).toEqual([{ text: 'Ünï' }, { text: '漢' }, { n: 2 }, { n: 3 }]);
  });

  it('end with what is no JSON object', async () => {
    const reading = all(served);
    client.end('{"n":1}\nrubbish\n{"n":2}\n');
    expect(await reading).toEqual([{ n: 1 }]);
  });

  it('are refused, with the remedy, when they are longer than the other side takes', async () => {
    const reading = all(served);
    expect(() => sendMessage(client, { input: 'x'.repeat(33 << 20) })).toThrow(
      expect.objectContaining({ code: 'USAGE', hint: expect.stringContaining('qmpilot cp') }),
    );
    sendMessage(client, { n: 1 });
    client.end();
    expect(await reading).toEqual([{ n: 1 }]);
  });

  it('carry errors with code, hint and evidence', () => {
    const error = new QmpilotError('SNAPSHOT', 'there is none', { hint: 'make one', evidence: { console: ['a'] } });
    expect(fromWireError(JSON.parse(JSON.stringify(toWireError(error))))).toMatchObject({
      code: 'SNAPSHOT',
      message: 'there is none',
      hint: 'make one',
      evidence: { console: ['a'] },
    });
  });
});

import { PassThrough } from 'node:stream';
import type { Message } from '../wire.js';

/** The input of a command, as its client sends it. `taken` tells the client how much was read, so that it does not send all at once. */
export function clientInput(
  onMessage: (listener: (message: Message) => void) => void,
  taken: (bytes: number) => Promise<void>,
): AsyncIterable<Buffer> {
  const received = new PassThrough();
  onMessage(({ input, inputEnd }) => {
    if (typeof input === 'string') received.write(Buffer.from(input, 'base64'));
    if (inputEnd === true) received.end();
  });
  return counted(received, taken);
}

async function* counted(
  received: AsyncIterable<Buffer>,
  taken: (bytes: number) => Promise<void>,
): AsyncGenerator<Buffer> {
  for await (const chunk of received) {
    await taken(chunk.length);
    yield chunk;
  }
}

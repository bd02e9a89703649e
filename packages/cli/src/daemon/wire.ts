import type { Socket } from 'node:net';
import { QmpilotError, type ErrorCode } from '@qmpilot/core';
import { formatBytes } from '@qmpilot/core/internal';

/** A message is one line of JSON; bytes travel as base64. */
export type Message = Readonly<Record<string, unknown>>;

/** Input and output of a command are sent in chunks. */
const MAX_LINE = 32 << 20;

/**
 * Sends a message, as far as the connection is open. Returns whether the other side can take more.
 * @throws {USAGE} for one that the other side would refuse
 */
export function sendMessage(socket: Socket, message: object): boolean {
  const line = `${JSON.stringify(message)}\n`;
  if (Buffer.byteLength(line) > MAX_LINE)
    throw new QmpilotError(
      'USAGE',
      `a message of more than ${formatBytes(MAX_LINE)} cannot be sent between a command and the daemon`,
      {
        hint: 'copy large input into the guest first: qmpilot cp FILE VM:/PATH',
      },
    );
  return socket.writable && socket.write(line);
}

/** Yields messages until the connection ends, or a line is not a JSON object. */
export async function* readMessages(socket: Socket): AsyncGenerator<Message> {
  let rest: Buffer[] = [];
  let held = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...rest, chunk.subarray(from, end)]).toString('utf8');
      [rest, held, from] = [[], 0, end + 1];
      const message = parse(line);
      if (!message) return;
      yield message;
    }
    rest.push(chunk.subarray(from));
    held += chunk.length - from;
    if (held > MAX_LINE) return;
  }
}

function parse(line: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly evidence?: QmpilotError['evidence'];
}

export function toWireError(error: unknown): WireError {
  if (error instanceof QmpilotError)
    return { code: error.code, message: error.message, hint: error.hint, evidence: error.evidence };
  return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
}

export function fromWireError({ code, message, hint, evidence }: WireError): QmpilotError {
  return new QmpilotError(code, message, { ...(hint !== undefined && { hint }), ...(evidence && { evidence }) });
}

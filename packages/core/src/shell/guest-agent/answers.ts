import { QmpilotError } from '../../errors.js';

/*
 * Answers of the guest agent as the shell over it needs them. A guest may say anything, of any type.
 */

export interface AgentStatus {
  readonly exited: boolean;
  readonly out: Buffer;
  readonly err: Buffer;
}

/** Of guest-exec. @throws {SHELL_LOST} as all of these, for an invalid answer */
export function readPid(answer: unknown): number {
  return wholeNumber(field(answer, 'pid'), 'guest-exec', answer);
}

/** Of guest-exec-status. */
export function readStatus(answer: unknown): AgentStatus {
  const exited = field(answer, 'exited');
  if (typeof exited !== 'boolean') throw invalidAnswer('guest-exec-status', answer);
  const [out, err] = ['out-data', 'err-data'].map((name) => fromBase64(field(answer, name) ?? '', 'guest-exec-status'));
  return { exited, out: out ?? Buffer.alloc(0), err: err ?? Buffer.alloc(0) };
}

/** Of guest-file-open. */
export function readHandle(answer: unknown): number {
  return wholeNumber(answer, 'guest-file-open', answer);
}

/** Of guest-file-read. */
export function readPiece(answer: unknown): Buffer {
  return fromBase64(field(answer, 'buf-b64'), 'guest-file-read');
}

/** Of guest-file-write, which was given `asked` bytes. */
export function readCount(answer: unknown, asked: number): number {
  const count = wholeNumber(field(answer, 'count'), 'guest-file-write', answer);
  if (count < 0 || count > asked) throw invalidAnswer('guest-file-write', answer);
  return count;
}

function field(answer: unknown, name: string): unknown {
  return typeof answer === 'object' && answer !== null && Object.hasOwn(answer, name)
    ? (answer as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function wholeNumber(value: unknown, command: string, answer: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw invalidAnswer(command, answer);
}

function fromBase64(value: unknown, command: string): Buffer {
  if (typeof value === 'string') return Buffer.from(value, 'base64');
  throw invalidAnswer(command, value);
}

function invalidAnswer(command: string, answer: unknown): QmpilotError {
  const said = JSON.stringify(answer) ?? 'nothing';
  return new QmpilotError('SHELL_LOST', `the guest agent gave an invalid answer to ${command}: ${said.slice(0, 80)}`, {
    hint: 'check whether another program than qemu-ga uses that port in the guest',
  });
}

import * as v from 'valibot';
import type { VmFacts } from '../../qemu/vm-facts.js';
import type { PreparedGuest } from '../../repro/run/attempt-queue.js';
import type { AttemptRecord, RunEvent } from '../../run-files/attempt-record.js';
import { ATTEMPT_SCHEMA } from '../../run-files/schema.js';
import { isObject } from '../../util/validation/is-object.js';

/** An error that crosses a process or a machine. */
export const ERROR = v.object({
  code: v.string(),
  message: v.string(),
  hint: v.exactOptional(v.string()),
  console: v.exactOptional(v.array(v.string())),
  stderr: v.exactOptional(v.array(v.string())),
});
export type SentError = v.InferOutput<typeof ERROR>;

const WORKER = { worker: v.string(), host: v.string() };
const MESSAGE = v.variant('type', [
  v.object({
    type: v.literal('result'),
    ...WORKER,
    slot: v.number(),
    record: v.custom<AttemptRecord>((value) => v.is(ATTEMPT_SCHEMA, value)),
    /** Folder of the shared directory; without it the evidence is behind this header. */
    folder: v.exactOptional(v.string()),
  }),
  v.object({ type: v.literal('refused'), ...WORKER, error: ERROR }),
  v.object({
    type: v.literal('prepared'),
    ...WORKER,
    facts: v.custom<VmFacts>((value) => isObject(value) && isObject(value['guest'])),
    prepared: v.custom<PreparedGuest['prepared']>(isObject),
  }),
  v.object({
    type: v.literal('event'),
    ...WORKER,
    slot: v.number(),
    event: v.custom<RunEvent>((value) => isObject(value) && typeof value['type'] === 'string'),
  }),
]);

/** What a worker tells the coordinator. */
export type Message = v.InferOutput<typeof MESSAGE>;
export type ResultMessage = Extract<Message, { type: 'result' }>;

/** Length of the header, header as JSON, then bytes. */
export function encodeMessage(message: Message, bytes: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.from(JSON.stringify(message));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(header.length);
  return Buffer.concat([length, header, bytes]);
}

/** @throws for one that this version does not know */
export function decodeMessage(body: Buffer): { readonly message: Message; readonly bytes: Buffer } {
  const end = 4 + body.readUInt32BE(0);
  return { message: v.parse(MESSAGE, JSON.parse(body.toString('utf8', 4, end))), bytes: body.subarray(end) };
}

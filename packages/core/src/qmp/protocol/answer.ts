import { isObject } from '../../util/validation/is-object.js';
import type { JsonObject } from './link.js';

/** The answer to a command: its value, or QEMU's error. */
export type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly qmpClass: string; readonly desc: string };

/** @param peer who answered, for an error that says nothing */
export function toAnswer(message: JsonObject, peer: string): Answer {
  if (!('error' in message)) return { ok: true, value: message['return'] };
  const error = isObject(message['error']) ? message['error'] : {};
  const { class: qmpClass, desc } = error;
  return {
    ok: false,
    qmpClass: typeof qmpClass === 'string' ? qmpClass : 'GenericError',
    desc: typeof desc === 'string' ? desc : `${peer} gave no description`,
  };
}

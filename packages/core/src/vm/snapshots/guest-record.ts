import { QmpilotError } from '../../errors.js';
import type { PreparedGuest } from '../../guests/guest.js';
import type { SavedManifest } from '../../snapshot/saved/manifest.js';

/** A guest as JSON: its prompt is a pattern, which JSON cannot hold. */
export function describeGuest({ login, ...guest }: PreparedGuest): SavedManifest['guest'] {
  return { ...guest, ...(login && { login: { source: login.prompt.source, flags: login.prompt.flags } }) };
}

/** @throws {SNAPSHOT} when the record is not one of `describeGuest` */
export function guestOf(record: SavedManifest['guest']): PreparedGuest {
  const { login, ...guest } = record;
  if (!isGuest(guest))
    throw new QmpilotError('SNAPSHOT', `invalid guest record in the snapshot manifest`, {
      hint: 'save the snapshot again',
    });
  if (typeof login !== 'object' || login === null || !('source' in login) || !('flags' in login)) return guest;
  try {
    return { ...guest, login: { prompt: new RegExp(String(login.source), String(login.flags)) } };
  } catch (cause) {
    throw new QmpilotError('SNAPSHOT', 'the prompt of the guest of this snapshot is not a pattern', {
      cause,
      hint: 'save the snapshot again',
    });
  }
}

function isGuest(value: object): value is PreparedGuest {
  return (
    'name' in value &&
    'key' in value &&
    'disks' in value &&
    Array.isArray(value.disks) &&
    'virtioConsoles' in value &&
    Array.isArray(value.virtioConsoles)
  );
}

import type { JsonObject } from './link.js';

export type QmpEventName = string;

/** An event as QEMU sends it. */
export interface QmpEvent {
  readonly event: string;
  readonly data: JsonObject;
  /** The host's wall clock; both are -1 where QEMU could not read it. */
  readonly timestamp: { readonly seconds: number; readonly microseconds: number };
}

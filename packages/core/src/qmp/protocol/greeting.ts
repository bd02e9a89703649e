import { isObject } from '../../util/validation/is-object.js';
import type { JsonObject } from './link.js';

/** QEMU's first message: `{"QMP": {"version": ..., "capabilities": [...]}}`. */
export interface Greeting {
  readonly version: {
    readonly major: number;
    readonly minor: number;
    readonly micro: number;
    /** The packager's own version, `Debian 1:7.2+dfsg-7+deb12u18`; empty where there is none. */
    readonly package: string;
  };
  /** `oob` means that out-of-band commands are available. */
  readonly capabilities: readonly string[];
}

/** @returns undefined when the message is not a greeting */
export function parseGreeting(message: JsonObject): Greeting | undefined {
  const qmp = message['QMP'];
  if (!isObject(qmp) || !isObject(qmp['version'])) return undefined;
  const { qemu, package: packager } = qmp['version'];
  if (!isObject(qemu)) return undefined;
  const part = (name: string) => (typeof qemu[name] === 'number' ? qemu[name] : 0);
  const offered = qmp['capabilities'];
  return {
    version: {
      major: part('major'),
      minor: part('minor'),
      micro: part('micro'),
      package: typeof packager === 'string' ? packager : '',
    },
    capabilities: Array.isArray(offered) ? offered.filter((c): c is string => typeof c === 'string') : [],
  };
}

import * as v from 'valibot';
import { bashWord } from '../../shell/quote.js';
import { wholeNumber } from '../../util/validation/schemas.js';
import { validate } from '../../util/validation/validate.js';
import { lastError, look } from './look.js';
import type { Wait } from './wait.js';

/** What `Wait.forPort` waits for. */
export interface PortWait {
  /** Name or address as the guest sees it; default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Waits until connections are refused, instead. Default false. */
  readonly closed?: boolean | undefined;
}

export const PORT_WAIT = {
  host: v.optional(v.pipe(v.string(), v.regex(/^[\w.:%-]+$/, 'expected a host name or address'))),
  closed: v.optional(v.boolean()),
} satisfies Record<keyof PortWait, v.GenericSchema>;

const CONNECT_SECONDS = 5;
/** Exit code of `timeout`. */
const TIMED_OUT = 124;

/** Waits until something in the guest accepts TCP connections on a port, or with `closed` until they are refused. */
export function forPort(port: number, options: PortWait = {}): Wait<number> {
  validate(wholeNumber(1, 65_535), port, 'waitForPort: port');
  validate(v.strictObject(PORT_WAIT), options, 'waitForPort: options');
  const { host = '127.0.0.1', closed = false } = options;
  const connect = `LC_ALL=C timeout ${CONNECT_SECONDS} bash -c ${bashWord(`: < /dev/tcp/${host}/${port}`)}`;
  return {
    awaited: `port ${port} of ${host} in the guest${closed ? ' to be closed' : ''}`,
    async probe(target, signal) {
      const tried = await look(target, signal, connect);
      if (typeof tried === 'string') return { met: false, saw: tried };
      const isOpen = tried.exitCode === 0;
      if (closed ? /connection refused/i.test(tried.stderr) : isOpen) return { met: true, value: port };
      if (isOpen) return { met: false, saw: 'it accepts connections' };
      return {
        met: false,
        saw: tried.exitCode === TIMED_OUT ? `no answer within ${CONNECT_SECONDS} s` : lastError(tried),
      };
    },
  };
}

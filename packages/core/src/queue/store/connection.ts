import type * as Bull from 'bullmq';
import type { Redis } from 'ioredis';
import { QmpilotError } from '../../errors.js';
import { forgetLastStat } from '../../util/files/forget-last-stat.js';
import { errnoOf } from '../../util/files/host-error.js';

export type BullMq = typeof Bull;

/** A connection to Redis, which reconnects by itself once it was there. */
export interface Connection {
  readonly redis: Redis;
  readonly bull: BullMq;
  /** Another one, for a command that blocks or a subscription. */
  another(): Redis;
  close(): void;
}

const CONNECT_TIMEOUT_MS = 10_000;
const MAX_PAUSE_MS = 1000;
/** Of LPOP with a count. */
const OLDEST = [6, 2] as const;

/**
 * Connects to Redis or Valkey. `onChange` is called with a line for users when the connection is lost, and when it is back.
 * @throws {IO} when there is none, {USAGE} when it refuses the password, {TOOL_MISSING} without the packages for it
 */
export async function connect(url: string, onChange: (message: string) => void = () => {}): Promise<Connection> {
  const shown = shownUrl(url);
  const { Redis, bull } = await loadPackages();
  let ready = false;
  let lost = false;
  const redis = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: null,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: (times) => (ready ? Math.min(50 * times, MAX_PAUSE_MS) : null),
  });
  const others: Redis[] = [];
  let problem: Error | undefined;
  redis.on('error', (error: Error) => (problem ??= error));
  try {
    await redis.connect();
    checkServer(await redis.info('server'), shown);
  } catch (cause) {
    redis.disconnect();
    throw cause instanceof QmpilotError ? cause : connectError(shown, problem ?? cause);
  }
  ready = true;
  redis.on('close', () => {
    if (!lost && ready) onChange(`the connection to ${shown} was lost: trying again`);
    lost = true;
  });
  redis.on('ready', () => {
    if (lost) onChange(`connected to ${shown} again`);
    lost = false;
  });
  return {
    redis,
    bull,
    another() {
      const one = redis.duplicate({ lazyConnect: false });
      one.on('error', () => {});
      others.push(one);
      return one;
    },
    close() {
      ready = false;
      for (const one of [redis, ...others]) one.disconnect();
    },
  };
}

/** Loads what a queue needs, which users without one need not have. */
async function loadPackages(): Promise<{ readonly Redis: typeof Redis; readonly bull: BullMq }> {
  forgetLastStat();
  try {
    const [{ Redis }, bull] = await Promise.all([import('ioredis'), import('bullmq')]);
    return { Redis, bull };
  } catch (cause) {
    throw new QmpilotError('TOOL_MISSING', 'a queue needs the packages bullmq and ioredis', {
      cause,
      hint: 'npm install bullmq ioredis',
    });
  }
}

/** The URL without its password. @throws {USAGE} for one that is not of Redis */
function shownUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed && /^rediss?:$/.test(parsed.protocol) && parsed.hostname !== '')
    return `${parsed.protocol}//${parsed.host}${parsed.pathname.replace(/^\/$/, '')}`;
  throw new QmpilotError('USAGE', 'the URL of the queue is not of the form redis://HOST:PORT', {
    hint: 'write redis://host:6379, or rediss://user:password@host:6380 for TLS and a password',
  });
}

function checkServer(info: string, shown: string): void {
  const [, version = '', major = 0, minor = 0] = /^redis_version:((\d+)\.(\d+)\S*)/m.exec(info) ?? [];
  if (version === '' || Number(major) > OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) >= OLDEST[1]))
    return;
  throw new QmpilotError('USAGE', `${shown} is Redis ${version}, which is too old`, {
    hint: `use Redis ${OLDEST.join('.')} or later, or Valkey`,
  });
}

function connectError(shown: string, cause: unknown): QmpilotError {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (/WRONGPASS|NOAUTH|invalid password|NOPERM/.test(message))
    return new QmpilotError('USAGE', `${shown} refused the user or the password: ${message}`, {
      cause,
      hint: 'name them in the URL: redis://user:password@host:6379, or redis://:password@host:6379 for the default user',
    });
  const reason = errnoOf(cause) === 'ECONNREFUSED' ? 'connection refused' : message;
  return new QmpilotError('IO', `cannot connect to the queue at ${shown}: ${reason}`, {
    cause,
    hint: 'start Redis or Valkey there, or correct the URL; rediss:// is for a server with TLS, redis:// for one without',
  });
}

export { DEFAULT_COMMAND_TIMEOUT, DEFAULT_HANDSHAKE_TIMEOUT } from './protocol/timeouts.js';
export { QmpClient, type Redial, type StreamOptions, type UntypedOptions, type WithOptionalJobId } from './client.js';
export { connect, MAX_SOCKET_PATH, type ConnectOptions, type QmpAddress, type SocketAddress } from './connect.js';
export { EventStream, type EventStreamOptions } from './events/event-stream.js';
export type { EventFilter, EventListener, WaitForOptions } from './events/events.js';
export { DEFAULT_MESSAGE_LIMIT, LineFramer } from './protocol/framing.js';
export type { Greeting } from './protocol/greeting.js';
export type { ExecuteArguments } from './typed.js';
export type { GuestArguments, GuestCommandName, GuestCommands, GuestReturn } from './guest-agent/commands.js';
export { connectGuestAgent } from './guest-agent/connect.js';
export {
  DEFAULT_AGENT_TIMEOUT,
  GuestAgent,
  type GuestAgentOptions,
  type OpenAgentStream,
} from './guest-agent/guest-agent.js';
export type { JobProgress } from './jobs/job.js';
export type { JobOptions } from './jobs/jobs.js';
export type {
  QmpArguments,
  QmpCommandName,
  QmpCommands,
  QmpEvent,
  QmpEventName,
  QmpEventOf,
  QmpEvents,
  QmpJobCommandName,
  QmpOutOfBandCommandName,
  QmpReturn,
  UntypedQmpEvent,
} from './protocol/messages.js';
export {
  AbortedError,
  isQmpilotError,
  QmpCommandError,
  QmpilotError,
  TimeoutError,
  type ErrorCode,
} from '../errors.js';
export { parseDuration, type Duration } from '../util/time/duration.js';

import type { GuestCommands } from '../schema/generated/guest-agent.js';

export type { GuestCommands } from '../schema/generated/guest-agent.js';
/** A command that the guest agent's schema knows. */
export type GuestCommandName = keyof GuestCommands;
/** The arguments of an agent's command: `GuestArguments<'guest-exec'>`. */
export type GuestArguments<C extends GuestCommandName> = GuestCommands[C]['arguments'];
/** The return type of a guest agent command: `GuestReturn<'guest-exec'>`. */
export type GuestReturn<C extends GuestCommandName> = GuestCommands[C]['returns'];

/** Commands whose success is not answered: `success-response: false` in the agent's schema. Errors are. */
export const UNANSWERED: ReadonlySet<string> = new Set<GuestCommandName>([
  'guest-shutdown',
  'guest-suspend-disk',
  'guest-suspend-ram',
  'guest-suspend-hybrid',
]);

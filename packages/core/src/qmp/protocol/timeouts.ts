/** The default time limit of a command, in ms. */
export const DEFAULT_COMMAND_TIMEOUT = 30_000;
/** The default time limit of QEMU's greeting and the negotiation, in ms. */
export const DEFAULT_HANDSHAKE_TIMEOUT = 10_000;
/** The longest timer of Node.js, for commands that another limit bounds: QEMU may answer nothing at all while it loads a snapshot. */
export const NO_TIMEOUT = 2 ** 31 - 1;

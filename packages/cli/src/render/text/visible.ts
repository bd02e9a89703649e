import { escapeLine } from '@qmpilot/core/internal';

/** Makes guest text safe for a terminal: what it would not show as a character, also a line end, becomes an escape. */
export const visible = escapeLine;

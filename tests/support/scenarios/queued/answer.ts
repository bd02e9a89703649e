/** What the guest has to print for a failure. */
export const FAILURE = '0';

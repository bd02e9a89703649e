import { QmpilotError } from '../errors.js';

/** Parses the exit code that the guest's side sent. @throws {SHELL_LOST} when it is not one, as a guest may send anything */
export function readExitCode(said: string, name: string): number {
  const code = /^\d{1,3}(?=k?$)/.exec(said)?.[0];
  if (code !== undefined && Number(code) <= 255) return Number(code);
  throw new QmpilotError('SHELL_LOST', `${name} gave ${JSON.stringify(said.slice(0, 40))} as an exit code`, {
    hint: 'something other than the shell that was started answers in the guest',
  });
}

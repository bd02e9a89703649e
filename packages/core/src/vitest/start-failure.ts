import { isQmpilotError, QmpilotError } from '../errors.js';
import type { GuestDescription } from '../guests/guest.js';
import { safeLine } from '../util/text/text-hygiene.js';

interface Circumstances {
  readonly signal: AbortSignal;
  /** It was up: what failed came after. */
  readonly prepared?: boolean;
  readonly console?: readonly string[];
}

/** Returns one error with all details in its message, because a test report shows little else. */
export function describeStartFailure(
  error: unknown,
  options: { readonly guest: GuestDescription; readonly bootTimeout?: unknown },
  { signal, prepared = false, console = [] }: Circumstances,
): QmpilotError {
  const own = error instanceof QmpilotError ? error : undefined;
  const name = options.guest.name;
  const what = prepared
    ? `the guest ${name} is up, but was not made ready for the tests`
    : `the guest ${name} did not start, so no test of it was run`;
  const why =
    signal.aborted && isQmpilotError(error, 'ABORTED')
      ? `${endOf(signal)} (${error.message})`
      : error instanceof Error
        ? error.message
        : String(error);
  const lines = own?.evidence.console && own.evidence.console.length > 0 ? own.evidence.console : console;
  const text = [
    `${what}: ${why}`,
    ...(own?.hint ? [`hint: ${own.hint}`] : []),
    ...(own?.evidence.stderr ?? []).map((line) => `  ${safeLine(line)}`),
    ...(lines.length === 0
      ? []
      : ['its console, at the end:', ...lines.slice(-20).map((line) => `  ${safeLine(line)}`)]),
  ].join('\n');
  return new QmpilotError(own?.code ?? 'SCENARIO', text, own ? {} : { cause: error });
}

function endOf({ reason }: AbortSignal): string {
  return reason instanceof Error && reason.name === 'TimeoutError' ? 'bootTimeout is over' : String(reason);
}

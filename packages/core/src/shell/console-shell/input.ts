import { QmpilotError } from '../../errors.js';
import { abortError } from '../../util/async/limit.js';
import type { ExecOptions } from '../exec-options.js';
import { printfFormat } from '../quote.js';
import type { ConsoleLink } from './link.js';
import { watchTerminal } from './terminal-taken.js';

/** Input up to this size travels inside the request; more goes by itself, in blocks. */
const INLINE_INPUT = 2048;
const INPUT_BLOCK = 1 << 20;

/** Sends a command's input to the guest; returns the assignment that names its file. */
export async function sendInput(link: ConsoleLink, { input, signal }: ExecOptions): Promise<string> {
  if (input === undefined || input.length === 0) return '';
  const bytes = Buffer.from(input);
  if (bytes.length <= INLINE_INPUT) return `__qi=$__qd/i; printf ${printfFormat(bytes)} >"$__qi"`;
  for (let at = 0; at < bytes.length; at += INPUT_BLOCK) {
    if (signal?.aborted) throw abortError('the guest to take input', signal);
    await sendBlock(link, bytes.subarray(at, at + INPUT_BLOCK), at > 0);
  }
  return '__qi=$__qd/i';
}

async function sendBlock(link: ConsoleLink, block: Buffer, append: boolean): Promise<void> {
  let refused: unknown;
  const sent = await link.request(
    'recv',
    `${block.length} ${append ? 1 : 0}`,
    { patience: 120_000 },
    {
      last: 'X',
      awaited: 'the guest to take input',
      raw: watchTerminal(link, 'took the input of a command'),
      mark: ({ letter }) => {
        if (letter === 'R') link.channel.write(block).catch((error: unknown) => (refused = error));
      },
    },
  );
  if (refused !== undefined) throw refused;
  if (sent.payload.toString() !== '0') {
    throw new QmpilotError('NO_SPACE', 'the guest could not store the input of a command', {
      hint: 'make room in its /run',
    });
  }
}

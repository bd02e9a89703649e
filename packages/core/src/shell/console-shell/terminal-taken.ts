import type { Channel } from '../../console/channel.js';
import { QmpilotError } from '../../errors.js';

/** Prompt of a plain bash, on which the helper does not run. */
const PROMPT = /bash-\d[\w.]*[#$] $/;
/** Prompt of a getty. */
const GETTY = /(?:^|[\r\n])[^\r\n]{0,64} login: /;
const GETTY_AT_END = /[^\r\n] login: (?:\S+ \(automatic login\)\s*)?$/;
/** What login prints after it took a request for the name of a user. */
const REFUSED = /(?:^|[\r\n])(?:Password: ?$|Login incorrect)/;
/** A request as another program echoes it: the helper echoes nothing. */
const ECHO = /: qmpilot ping [0-9a-f]{16}/;
/** The same behind the prompt of a getty: agetty takes no name of more than 42 characters, and starts again in 10 s (term-utils/agetty.c). */
const AS_NAME = / login: : qmpilot ping [0-9a-f]{16}/;
const MAX_STRAY = 1024;

/** The host's end of the terminal. */
interface TerminalLink {
  readonly name: string;
  readonly channel: Channel;
  answers: boolean;
}

/**
 * Whether a login takes requests in place of the helper: as the name of a user.
 * @param said what came since the helper's last answer
 * @param helperRan then a question for a password counts only behind the echo of a request: it may be the output of a command that
 * was killed
 */
export function isLogin(said: string, helperRan: boolean): boolean {
  if (AS_NAME.test(said)) return true;
  const echo = helperRan ? ECHO.exec(said) : undefined;
  return echo !== null && REFUSED.test(said.slice(echo?.index ?? 0).slice(-300));
}

/**
 * Ends a request when what comes before its answer is the prompt of another program: the helper prints nothing meanwhile.
 * @param doing what the shell does, such as 'ran "true"'
 */
export function watchTerminal(
  link: TerminalLink,
  doing: string,
): (chunk: Buffer, broken: (error: unknown) => void) => void {
  let stray = '';
  return (chunk, broken) => {
    stray = (stray + chunk.subarray(-MAX_STRAY).toString('latin1')).slice(-MAX_STRAY);
    if (PROMPT.test(stray)) broken(endedWhile(link, doing));
    else if (GETTY.test(stray)) broken(takenWhile(link, doing, stray));
  };
}

/**
 * The same for a stream, whose output may look like a prompt by itself: a line is sent then that the helper ignores, that a bash
 * answers by the mark `G` with this nonce, and that a login echoes.
 */
export class StreamTerminal {
  readonly #link: TerminalLink;
  readonly #doing: string;
  readonly #nonce: string;
  readonly #fail: (error: unknown) => void;
  #tail = '';
  #isLogin = false;

  constructor(link: TerminalLink, doing: string, nonce: string, fail: (error: unknown) => void) {
    this.#link = link;
    this.#doing = doing;
    this.#nonce = nonce;
    this.#fail = fail;
  }

  push(chunk: Buffer): void {
    this.#tail = (this.#tail + chunk.subarray(-MAX_STRAY).toString('latin1')).slice(-MAX_STRAY);
    const isLogin = GETTY_AT_END.test(this.#tail);
    if (isLogin || PROMPT.test(this.#tail)) {
      this.#isLogin ||= isLogin;
      void this.#link.channel.write(` printf '\\1G%s0:' ${this.#nonce}\n`).catch(() => {});
    } else if (this.#isLogin && this.#tail.includes(`0:' ${this.#nonce}`)) this.taken();
  }

  /** The mark `G` came. */
  taken(): void {
    this.#fail(this.#isLogin ? takenWhile(this.#link, this.#doing, this.#tail) : endedWhile(this.#link, this.#doing));
  }
}

function endedWhile(link: TerminalLink, doing: string): QmpilotError {
  link.answers = false;
  return new QmpilotError('SHELL_LOST', `${link.name} ended while it ${doing}`, {
    hint: 'a command that kills its own shell ($$ is the shell itself) ends it; the next command gets a new one',
  });
}

/** The error when a login has replaced the shell's bash: the command may have run, but its end will not be reported. */
function takenWhile(link: TerminalLink, doing: string, said: string): QmpilotError {
  link.answers = false;
  return new QmpilotError('SHELL_LOST', `a login took the terminal of ${link.name} while it ${doing}`, {
    evidence: { console: said.split(/[\r\n]+/).filter((line) => line !== '') },
    hint: `the guest starts a getty on this console: mask serial-getty@${link.channel.name}.service there`,
  });
}

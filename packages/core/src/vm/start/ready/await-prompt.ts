import type { Console } from '../../../console/console.js';
import { pause, type WaitOptions } from '../../../util/async/deadline.js';

const ENTER_AFTER_MS = 1000;
const LOGIN_PROMPT = /login: (?=$|\[ *\d+\.\d{6}\])/;
/** With an automatic login agetty prints the user's name behind the same prompt. */
const LOGIN_STABLE_MS = 10_000;

/** Waits until the console stays at a login prompt, as it does when nobody is logged in automatically. */
export async function awaitLoginPrompt(console: Console, wait: WaitOptions): Promise<void> {
  for (let from = 0; ;) {
    const { end } = await console.expect(LOGIN_PROMPT, { ...wait, from, consume: false });
    await pause(LOGIN_STABLE_MS, wait.signal);
    if (/^(?:\[ *\d+\.\d{6}\]|\s*$)/.test(console.textBetween(end))) return;
    from = end;
  }
}

/**
 * Waits for the prompt at the end of the console's text. Late drivers write to the console as well, and their messages may
 * follow the prompt: Enter brings another one.
 */
export async function awaitPrompt(console: Console, prompt: RegExp, wait: WaitOptions, from = 0): Promise<void> {
  const anywhere = new RegExp(prompt.source.replace(/\$$/, ''), prompt.flags);
  const ended = new AbortController();
  const poke = async () => {
    await console.expect(anywhere, { signal: ended.signal, from });
    for (;;) {
      await pause(ENTER_AFTER_MS, ended.signal);
      await console.type('\n', { signal: ended.signal });
    }
  };
  poke().catch(() => {});
  try {
    await console.expect(prompt, { ...wait, from });
  } finally {
    ended.abort();
  }
}

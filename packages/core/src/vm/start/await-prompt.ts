import type { Console } from '../../console/console.js';
import { pause, type WaitOptions } from '../../util/deadline.js';

const ENTER_AFTER_MS = 1000;

/**
 * Waits for the prompt at the end of the console's text. Late drivers write to the console too, and what they say may stand
 * behind the prompt before anybody has looked: Enter brings another one.
 */
export async function awaitPrompt(console: Console, prompt: RegExp, wait: WaitOptions): Promise<void> {
  const anywhere = new RegExp(prompt.source.replace(/\$$/, ''), prompt.flags);
  const ended = new AbortController();
  const poke = async () => {
    await console.expect(anywhere, { signal: ended.signal, from: 0 });
    for (;;) {
      await pause(ENTER_AFTER_MS, ended.signal);
      await console.type('\n', { signal: ended.signal });
    }
  };
  poke().catch(() => {});
  try {
    await console.expect(prompt, { ...wait, from: 0 });
  } finally {
    ended.abort();
  }
}

import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { Channel } from '../../console/channel.js';
import { Console } from '../../console/console.js';
import { duplexPair } from '../../testing/duplex-pair.js';
import type { VmContext } from '../context.js';
import { sysRqByKeys } from './sysrq-keys.js';

it('reads the answer of the kernel quickly after a flood of similar text', async () => {
  const [guest, host] = duplexPair();
  const console = new Console(new Channel('ttyS0'));
  console.channel.attach(host);
  const flood = Array.from({ length: 8 }, () => 'sysrq : x '.repeat(6500));
  const answers: Readonly<Record<string, readonly string[]>> = {
    w: [...flood, `${' '.repeat(300)}\nsysrq: Show Blocked State\ntask:npm\n`],
    h: ['sysrq: HELP : loglevel(0-9)\n'],
  };
  const keyboard = {
    async chord(keys: readonly string[]) {
      for (const text of answers[keys.at(-1) ?? ''] ?? []) {
        guest.write(text);
        await setImmediate();
      }
    },
  };
  const begun = performance.now();
  const lines = await sysRqByKeys({ keyboard, console } as unknown as VmContext, 'w', 'keyboard', {});
  expect(lines).toEqual(['sysrq: Show Blocked State', 'task:npm']);
  expect(performance.now() - begun).toBeLessThan(5000);
  console.close();
});

import { expect, it } from 'vitest';
import { Channel } from '../../../console/channel.js';
import { Console } from '../../../console/console.js';
import { duplexPair } from '../../../testing/duplex-pair.js';
import { awaitPrompt } from './await-prompt.js';

it('gets to a prompt after which the kernel has printed already, by another Enter', async () => {
  const [guest, host] = duplexPair();
  const console = new Console(new Channel('ttyS0'));
  console.channel.attach(host);
  guest.write('login: root\r\nroot@box:~# [   23.1] kvm: Nested Virtualization enabled\r\n');
  guest.on('data', () => guest.write('\r\nroot@box:~# '));
  await expect(awaitPrompt(console, /root@[\w-]+:~# $/, { timeout: 10_000 })).resolves.toBeUndefined();
  console.close();
});

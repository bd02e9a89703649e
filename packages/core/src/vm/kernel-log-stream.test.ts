import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Channel } from '../console/channel.js';
import { Console } from '../console/console.js';
import { duplexPair } from '../testing/duplex-pair.js';
import { KernelLogStream } from './kernel-log-stream.js';

const REPORT = '[   12.345678] BUG: kernel NULL pointer dereference, address: 0000000000000010\r\n';

function streamOf() {
  const [near, far] = duplexPair();
  const channel = new Channel('ttyS0');
  channel.attach(near);
  const stream = new KernelLogStream(new Console(channel));
  const titles: string[] = [];
  stream.onFinding(({ title }) => titles.push(title));
  const print = async (text: string) => {
    far.write(text);
    await vi.advanceTimersByTimeAsync(10);
  };
  return { stream, titles, print };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }));
afterEach(() => void vi.useRealTimers());

it('tells a report to all that listen, when nothing more of it has come for 2 s', async () => {
  const { stream, titles, print } = streamOf();
  const second = vi.fn();
  stream.onFinding(second);
  await print(REPORT);
  await vi.advanceTimersByTimeAsync(1500);
  await print('[   12.345679] #PF: supervisor read access in kernel mode\r\n');
  await vi.advanceTimersByTimeAsync(1500);
  expect(titles).toEqual([]);
  await vi.advanceTimersByTimeAsync(700);
  expect(titles).toEqual([expect.stringContaining('NULL pointer dereference')]);
  expect(second).toHaveBeenCalledOnce();
});

it('completes a report when it is asked to, and continues', async () => {
  const { stream, titles, print } = streamOf();
  await print(REPORT);
  stream.flush();
  expect(titles).toHaveLength(1);
  await print('[  200.000000] INFO: task touch:309 blocked for more than 120 seconds.\r\n');
  stream.flush();
  expect(titles).toHaveLength(2);
});

it('forgets a report that the guest was restored from', async () => {
  const { stream, titles, print } = streamOf();
  await print(REPORT);
  stream.reset();
  await vi.advanceTimersByTimeAsync(5000);
  stream.flush();
  expect(titles).toEqual([]);
});

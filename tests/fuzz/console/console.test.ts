import { isQmpilotError } from '@qmpilot/core';
import {
  createKernelLogDetector,
  createShutdownDetector,
  formatShutdown,
  judgeShutdown,
  parseBlockedTasks,
  parseGdbBacktrace,
  parseThreadSample,
  scan,
} from '@qmpilot/core/detect';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Channel } from '../../../packages/core/src/console/channel.js';
import { Console } from '../../../packages/core/src/console/console.js';
import { duplexPair } from '../../../packages/core/src/testing/duplex-pair.js';
import { cuts, guestText, pieces } from '../../support/fuzz/guest-text.js';
import { fuzz, LIMIT } from '../../support/fuzz/parameters.js';

describe('whatever a guest prints', () => {
  it(
    'the kernel log gives the same findings however it is cut, each of limited size',
    async () => {
      await fuzz(
        fc.property(guestText, cuts, (text, sizes) => {
          const bytes = Buffer.from(text);
          const detector = createKernelLogDetector();
          const found = [...pieces(bytes, sizes).flatMap((piece) => detector.push(piece, 0)), ...detector.end(0)];
          expect(found.map(({ title }) => title)).toEqual(scan(bytes).map(({ title }) => title));
          for (const { title, evidence } of found)
            expect(title.length + evidence.join('').length).toBeLessThan(1 << 20);
          parseBlockedTasks(text);
        }),
      );
    },
    LIMIT,
  );

  it(
    'a shutdown is followed to a report with a verdict',
    async () => {
      const step = fc.oneof(
        guestText.map((text) => ({ text })),
        fc.record({
          event: fc.constantFrom('POWERDOWN', 'SHUTDOWN', 'RESET', 'GUEST_PANICKED', 'STOP'),
          data: fc.dictionary(fc.constantFrom('guest', 'reason', 'action', '__proto__'), fc.jsonValue()),
        }),
        guestText.map((jobs) => ({ jobs })),
      );
      await fuzz(
        fc.property(fc.array(step, { maxLength: 12 }), cuts, (steps, sizes) => {
          const detector = createShutdownDetector();
          detector.requested(0);
          steps.forEach((one, index) => {
            if ('text' in one) for (const piece of pieces(Buffer.from(one.text), sizes)) detector.console(piece, index);
            else if ('jobs' in one) {
              detector.jobs(one.jobs, index);
              detector.units(one.jobs);
            } else detector.qmpEvent(one.event, one.data, index);
          });
          const report = detector.report(steps.length);
          const judgement = judgeShutdown(report, { wanted: 'poweroff', slowAfterMs: 10 });
          expect(typeof formatShutdown({ ...report, ...judgement, wanted: 'poweroff' })).toBe('string');
          expect(detector.finding(steps.length).elapsed).toBeGreaterThanOrEqual(0);
        }),
      );
    },
    LIMIT,
  );

  it(
    'a console has the same lines however they are cut, expects what is in them, and draws them',
    async () => {
      await fuzz(
        fc.asyncProperty(guestText, cuts, async (text, sizes) => {
          const console = async (sized: readonly number[]) => {
            const [near, far] = duplexPair();
            const channel = new Channel('fuzz');
            const result = new Console(channel);
            channel.attach(near);
            for (const piece of pieces(Buffer.from(text), sized)) far.write(piece);
            far.end('\u001b\\\n\nthe end\n');
            await result.expect('the end', { timeout: '10s' });
            return result;
          };
          const [one, other] = [await console(sizes), await console([1 << 20])];
          expect(one.lines()).toEqual(other.lines());
          const line = other.lines().find((candidate) => candidate.trim() !== '') ?? 'the end';
          await one.expect(line, { from: 0, timeout: '10s' });
          await expect(one.expect('this is nowhere', { from: 0, timeout: '10s' })).rejects.toSatisfy((error) =>
            isQmpilotError(error, 'CONSOLE_CLOSED'),
          );
          expect(one.screen.text().length).toBeLessThan(1 << 16);
          for (const each of [one, other]) each.close();
        }),
      );
    },
    LIMIT,
  );

  it(
    'samples of threads and stacks are read as far as they can be',
    async () => {
      await fuzz(
        fc.property(fc.oneof(guestText, fc.string({ unit: 'binary' })), (text) => {
          parseThreadSample(text);
          parseGdbBacktrace(text);
        }),
      );
    },
    LIMIT,
  );
});

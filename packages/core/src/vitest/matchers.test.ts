import { beforeAll, describe, expect, it } from 'vitest';
import { Channel } from '../console/channel.js';
import { Console } from '../console/console.js';
import { Screen } from '../console/screen/screen.js';
import type { Finding, Severity } from '../detect/finding.js';
import { duplexPair } from '../testing/duplex-pair.js';
import { vmMatchers } from './index.js';
import { selectFindings } from './kernel-findings.js';

beforeAll(() => expect.extend(vmMatchers));

function screenWith(text: string): Screen {
  const screen = new Screen({ columns: 30, rows: 5 });
  screen.feed(Buffer.from(text.replaceAll('\n', '\r\n')));
  return screen;
}

const messageOf = (promise: Promise<void>) =>
  promise.then(
    () => 'it passed',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );

describe('toShow', () => {
  it('waits for what comes later', async () => {
    const screen = screenWith('booting\n');
    const shown = expect(screen).toShow(/login:/);
    screen.feed(Buffer.from('host login: '));
    await shown;
  });

  it('says what it looked for, and shows the screen with its empty rows', async () => {
    const message = await messageOf(expect(screenWith('one\n\ntwo')).toShow('three', { timeout: 1 }));
    expect(message).toBe(
      [
        'expected the screen to show "three": timed out after 1 ms waiting for "three" on the screen',
        `+${'-'.repeat(30)}+`,
        `|${'one'.padEnd(30)}|`,
        `|${' '.repeat(30)}|`,
        `|${'two'.padEnd(30)}|`,
        `+${'-'.repeat(30)}+`,
      ]
        .join('\n')
        .replace('1 ms', /timed out after (.*?) waiting/.exec(message)?.[1] ?? '1 ms'),
    );
  });

  it('with .not waits until the text is gone, and says that it stayed', async () => {
    const screen = screenWith('working');
    const gone = expect(screen).not.toShow('working');
    screen.feed(Buffer.from('\u001b[2J'));
    await gone;
    expect(await messageOf(expect(screenWith('working')).not.toShow('working', { timeout: 1 }))).toMatch(
      /^expected the screen not to show "working": .*\n\+-+\+\n\|working/,
    );
  });

  it('looks at a row only, when it is told to', async () => {
    await expect(screenWith('one\ntwo')).toShow('two', { row: 1 });
    await expect(screenWith('one\ntwo')).not.toShow('two', { row: 0 });
  });

  it('passes nothing of the guest’s control characters on', async () => {
    expect(await messageOf(expect(screenWith('\u009b31mred\u202e')).toShow('x', { timeout: 1 }))).not.toMatch(
      /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/,
    );
  });
});

describe('a value that is not a VM', () => {
  it.each([undefined, 'vm', {}, { console: {} }, Promise.resolve()])(
    'is refused with what was given: %o',
    async (value) => {
      await expect(messageOf(expect(value).toShow('x'))).resolves.toMatch(
        /takes a VM, a console or a screen; it was given/,
      );
      await expect(messageOf(expect(value).toPowerOffCleanly())).resolves.toMatch(/takes a VM: expect\(vm\)/);
      await expect(messageOf(expect(value).toHaveNoKernelFindings())).resolves.toMatch(/takes a VM: expect\(vm\)/);
      await expect(messageOf(expect(value).not.toHaveNoKernelFindings())).resolves.toMatch(/takes a VM: expect\(vm\)/);
    },
  );
});

describe('toHaveNoKernelFindings', () => {
  const REPORT = '[   12.345678] BUG: kernel NULL pointer dereference, address: 0000000000000010\r\n';

  function vmThatPrints(report: string, answers: boolean) {
    const [near, far] = duplexPair();
    const channel = new Channel('ttyS0');
    channel.attach(near);
    const ping = async () => {
      // On its way when the shell answers, or is found to be gone.
      far.write(report);
      if (!answers) throw new Error('SHELL_LOST');
    };
    return { poweroff: () => {}, console: new Console(channel), hasShell: true, samplingShell: { ping } };
  }

  it.each([true, false])(
    'sees a report whose bytes are still on their way (the shell answers: %s)',
    async (answers) => {
      await expect(vmThatPrints(REPORT, answers)).not.toHaveNoKernelFindings();
      expect(await messageOf(expect(vmThatPrints(REPORT, answers)).toHaveNoKernelFindings())).toMatch(
        /there is 1:\n {2}error: BUG: unable to handle kernel NULL pointer dereference/,
      );
    },
  );

  it('passes for a guest that says nothing', async () => {
    await expect(vmThatPrints('', true)).toHaveNoKernelFindings();
  });
});

describe('which findings count', () => {
  const finding = (severity: Severity, title: string, kind = 'bug'): Finding => ({
    kind,
    severity,
    title,
    signature: title,
    at: 0,
    evidence: [],
  });
  const all = [
    finding('info', 'i'),
    finding('warning', 'WARNING in foo'),
    finding('error', 'BUG in bar'),
    finding('error', 'poweroff stalled', 'poweroff-stall'),
  ];
  const titles = (options: Parameters<typeof selectFindings>[1]) =>
    selectFindings(all, options).map(({ title }) => title);

  it('warnings and errors, but no stalled poweroff', () => {
    expect(titles({})).toEqual(['WARNING in foo', 'BUG in bar']);
  });

  it('from the severity on that is named', () => {
    expect(titles({ severity: 'error' })).toEqual(['BUG in bar']);
    expect(titles({ severity: 'info' })).toHaveLength(3);
  });

  it('without those to be ignored, a global expression included', () => {
    expect(titles({ ignore: ['in foo', /BUG/g] })).toEqual([]);
  });
});

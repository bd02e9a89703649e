import { describe, expect, it } from 'vitest';
import { Screen } from './screen.js';

async function screenOf(text: string, size: { columns?: number; rows?: number } = {}): Promise<Screen> {
  const screen = new Screen(size);
  screen.feed(Buffer.from(text));
  await screen.drawn();
  return screen;
}

const ENTER = '\x1b[?1049h\x1b[H\x1b[2J';
const HUNG = '[  369.652117] INFO: task npm ci:888 blocked for more than 122 seconds.\r\n';
/** Two panes of 4 rows in 10, and a status line, as tmux draws them. */
const PANES = `${ENTER}loop\x1b[5;1H\x1b[32m${'─'.repeat(40)}\x1b[m\x1b[6;1H888 Dl+\x1b[10;1H\x1b[30;42m[repro] 0:bash*${' '.repeat(25)}\x1b[m\x1b[7;3H`;

describe('Screen.panes', () => {
  it('gives text, place and the active one, without the status line', async () => {
    const screen = await screenOf(PANES, { columns: 40, rows: 10 });
    expect(screen.panes()).toMatchObject([
      { index: 0, active: false, text: 'loop', region: { row: 0, rows: 4 } },
      { index: 1, active: true, text: '888 Dl+', region: { row: 5, rows: 4, columns: 40 } },
    ]);
    expect(screen.pane(-1)?.index).toBe(1);
    expect(screen.pane('active')?.index).toBe(1);
    expect(screen.pane(2)).toBeUndefined();
  });

  it('is one pane at a plain prompt, also with a painted last row', async () => {
    const screen = await screenOf('\x1b[7m$ prompt\x1b[m ', { columns: 9, rows: 1 });
    expect(screen.panes()).toMatchObject([{ text: '$ prompt', region: { rows: 1 } }]);
  });
});

describe('Screen, written over by the kernel', () => {
  it('shows it as a person sees it, while panes and waits go by what the program drew', async () => {
    const screen = await screenOf(PANES, { columns: 40, rows: 10 });
    const cut = Buffer.from('\x1b[6;1H889 Sl+\x1b[7;3Hnext');
    // The kernel's line covers the end of pane 0 and the border.
    for (const byte of Buffer.from('\x1b[4;1H')) screen.feed(Buffer.of(byte));
    screen.feed(cut.subarray(0, 3));
    screen.feed(Buffer.from(HUNG));
    screen.feed(cut.subarray(3));
    await screen.drawn();
    expect(screen.text()).toContain('INFO: task npm ci:888');
    expect(screen.panes().map(({ text }) => text)).toEqual(['loop', '889 Sl+\n  next']);
    await expect(screen.waitFor(/npm ci/, { pane: 1, timeout: 50 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      evidence: { pane: ['889 Sl+', '  next', '', ''] },
    });
    expect((await screen.waitFor(/Sl\+/, { pane: 1, row: 0 })).text).toBe('Sl+');
    expect((await screen.waitFor(/task npm ci:888/)).row).toBe(3);
  });

  it.each(['\x1b[H\x1b[J', '\x1b[H\x1b[2J', '\x1b[1;1H\x1b[J'])(
    'knows a full-screen program on a terminal without an alternate buffer too: %j',
    async (clear) => {
      const screen = await screenOf(`old\r\n${HUNG}`, { columns: 40, rows: 10 });
      for (const byte of Buffer.from(PANES.replace(ENTER, clear))) screen.feed(Buffer.of(byte));
      screen.feed(Buffer.from(HUNG.replace('369', '370')));
      await screen.drawn();
      expect(screen.alternate).toBe(false);
      expect(screen.panes().map(({ text, region }) => [text, region.rows])).toEqual([
        ['loop', 4],
        ['888 Dl+', 4],
      ]);
    },
  );

  it('takes lines after lines for no full-screen program, although the screen was cleared before', async () => {
    const screen = await screenOf('\x1b[H\x1b[2J');
    expect(screen.program).not.toBe(screen);
    screen.feed(Buffer.from('\x1b[0;32mOK\x1b[0m line\r\n'.repeat(300)));
    await screen.drawn();
    expect(screen.program).toBe(screen);
  });

  it('goes back to the one screen when the program ends', async () => {
    const screen = await screenOf(`before\r\n${ENTER}inside${HUNG}`);
    expect(screen.program).not.toBe(screen);
    expect(screen.program.text()).toBe('inside');
    screen.feed(Buffer.from('\x1b[?1049l'));
    await screen.drawn();
    expect(screen.program).toBe(screen);
    expect(screen.text()).toBe('before');
  });

  it('shows a bracket that the program wrote last, although it might have been the kernel', async () => {
    const screen = await screenOf(ENTER);
    const found = screen.waitUntil('a bracket', () => (screen.program.text() === '[' ? true : undefined));
    screen.feed(Buffer.from('['));
    expect(await found).toBe(true);
  });
});

describe('Screen.settle', () => {
  it('waits until a part is unchanged, whatever changes elsewhere', async () => {
    const screen = await screenOf('one\r\n');
    const stop = new AbortController();
    const whole = screen.settle({ quiet: 60_000, timeout: 120_000, signal: stop.signal }).then(
      () => 'settled',
      ({ code }: { code: string }) => code,
    );
    let above: string[] | undefined;
    void screen.settle({ quiet: 50, row: 0 }).then((rows) => (above = rows));
    let count = 0;
    while (above === undefined) {
      screen.feed(Buffer.from(`\x1b[5;1Hclock ${(count += 1)}\x1b[2;1H`));
      await screen.drawn();
      await new Promise(setImmediate);
    }
    expect(above).toEqual(['one']);
    stop.abort();
    expect(await whole).toBe('ABORTED');
    expect((await screen.settle({ quiet: 50 }))[4]).toBe(`clock ${count}`);
  });

  it('says what it waited for when the screen never settles', async () => {
    const screen = await screenOf('one');
    await expect(screen.settle({ quiet: 60_000, timeout: 30 })).rejects.toMatchObject({
      code: 'TIMEOUT',
      awaited: 'the screen to be unchanged for 60000 ms',
    });
  });

  it('says which panes there are when the one named is not', async () => {
    const screen = await screenOf(PANES, { columns: 40, rows: 10 });
    await expect(screen.settle({ pane: 3, timeout: 30 })).rejects.toMatchObject({
      hint: 'there is no pane 3: the screen shows 2, 0, 1',
    });
  });
});

describe('Screen as a picture', () => {
  const colours = '\x1b[1;38;5;208mA&B\x1b[0m \x1b[48;2;1;2;3m<\u4f60e\u0301>\x1b[0m \x1b[3;4;9mx\x1b[0m "\u{1f600}"';

  it('keeps colours, positions and styles in SVG, and escapes text', async () => {
    const svg = (await screenOf(colours, { columns: 20, rows: 2 })).toSvg({ cursor: false });
    expect(svg).toContain('fill="#ff8700" font-weight="bold">A&amp;B</text>');
    expect(svg).toContain('fill="#010203"');
    expect(svg).toMatch(/x="50" y="21.5" textLength="16.8"[^>]*>\u4f60<\/text>/);
    expect(svg).toContain('>e\u0301</text>');
    expect(svg).toMatch(/font-style="italic" text-decoration="underline line-through">x</);
    expect(svg).toMatch(/textLength="16.8"[^>]*>\u{1f600}</u);
    expect(svg).not.toMatch(/<(?!\/?(?:svg|rect|text)\b)/);
  });

  it('keeps colours, positions and styles in HTML, and escapes text', async () => {
    const html = (await screenOf(`${colours}\r\n<script>'\u202e`, { columns: 20, rows: 3 })).toHtml({ cursor: false });
    expect(html).toContain('<span style="color:#ff8700;font-weight:bold">A&amp;B</span>');
    expect(html).toContain('display:inline-block;width:2ch">\u4f60</span>');
    expect(html).toContain('&lt;script&gt;&#39;');
    expect(html).not.toContain('\u202e');
    expect(html).not.toMatch(/<(?!\/?(?:pre|span)\b)/);
  });

  it('shows the cursor', async () => {
    expect((await screenOf('ab', { columns: 4, rows: 1 })).toHtml()).toContain(
      'ab<span style="color:#101010;background:#d0d0d0"> </span>',
    );
  });

  it('keeps its size and what fits when it is resized', async () => {
    const screen = await screenOf('one two', { columns: 20, rows: 4 });
    screen.resize(30, 2);
    expect([screen.columns, screen.rowCount, screen.text()]).toEqual([30, 2, 'one two']);
    expect(() => screen.resize(0, 1)).toThrow(expect.objectContaining({ code: 'USAGE' }));
  });
});

describe('a screen of a hostile guest', () => {
  it.each(['L', 'M', 'S', 'T', 'I', 'Z', 'b'])('handles a count of two billion in CSI %s quickly', async (final) => {
    const screen = await screenOf(`one\x1b[2147483647${final}\x1b[2;1Htwo`, { columns: 20, rows: 4 });
    expect(screen.text()).toBe('one\ntwo');
    // What a program of some use says does what it did.
    expect((await screenOf('\x1b[2;1Htwo\x1b[1;1H\x1b[2b\x1b[1Lone', { columns: 20, rows: 4 })).text()).toBe(
      'one\n\ntwo',
    );
  });

  it('stores no hyperlinks, and little of an unterminated string', async () => {
    const screen = new Screen({ columns: 20, rows: 4 });
    const held = () => process.memoryUsage().heapUsed;
    const before = held();
    for (let round = 0; round < 40; round += 1) {
      const links = Array.from(
        { length: 2000 },
        (_, index) => `\x1b]8;;http://x/${round}/${index}/${'x'.repeat(40)}\x07`,
      ).join('');
      screen.feed(Buffer.from(`\r${links}link`));
      await screen.drawn();
    }
    for (let round = 0; round < 40; round += 1) {
      screen.feed(Buffer.from((round === 0 ? '\r\n\x1b]0;' : '') + 'x'.repeat(100_000)));
      await screen.drawn();
    }
    expect((held() - before) / 2 ** 20).toBeLessThan(100);
    screen.feed(Buffer.from('\x1b[H\x1b[2Jé'.repeat(9) + 'end'));
    await screen.drawn();
    expect(screen.text()).toBe('éend');
  });
});

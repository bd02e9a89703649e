import { describe, expect, it } from 'vitest';
import { findPanes, paneTitle, type CharacterGrid, type PaneLayout } from './panes.js';

const grid = (text: string): CharacterGrid =>
  text
    .split('\n')
    .filter((row) => row !== '')
    .map((row) => [...row]);

function layout(text: string, previous?: PaneLayout): PaneLayout {
  const cells = grid(text);
  return findPanes(cells, { row: 0, column: 0, rows: cells.length, columns: cells[0]?.length ?? 0 }, previous);
}

const panes = (text: string, previous?: PaneLayout) =>
  layout(text, previous).panes.map(({ row, column, rows, columns }) => `${rows}x${columns}+${row}+${column}`);

describe('findPanes', () => {
  it('gives one pane where there are no lines', () => {
    expect(panes('abcdef\n------\n││││││'.replace('││││││', 'a│b│cd'))).toEqual(['3x6+0+0']);
  });

  it('numbers panes as tmux does: from the left and the top, nested splits where they are', () => {
    expect(
      panes(`
aaaa│bbbb
aaaa│bbbb
aaaa├────
aaaa│cccc
────┴────
ddddddddd
`),
    ).toEqual(['4x4+0+0', '2x4+0+5', '1x4+3+5', '1x9+5+0']);
  });

  it('finds four panes around one joint, and heavy and double lines', () => {
    expect(panes('aa┃bb\n━━╋━━\ncc┃dd')).toEqual(['1x2+0+0', '1x2+0+3', '1x2+2+0', '1x2+2+3']);
    expect(panes('aaaaa\n═════\nbbbbb')).toEqual(['1x5+0+0', '1x5+2+0']);
  });

  it('takes boxes that a program draws inside a pane for what they are', () => {
    expect(panes('┌──────┐\n│ box  │\n└──────┘\n  ────  ')).toEqual(['4x8+0+0']);
  });

  it('reads the titles that pane-border-status writes, above and below', () => {
    const above =
      '── 0 "loop" ──────┬── 1 "watch" ─────\naaaaaaaaaaaaaaaaaa│bbbbbbbbbbbbbbbbbb\n── 2 "kill" ──────┴──────────────────\nccccccccccccccccccccccccccccccccccccc';
    const found = layout(above);
    expect(found.panes.map((pane) => paneTitle(grid(above), pane, found.borders))).toEqual([
      '0 "loop"',
      '1 "watch"',
      '2 "kill"',
    ]);
    const below = 'aaaaaaaaaaaaaaaaaaaa\n── 0 "one" ─────────\nbbbbbbbbbbbbbbbbbbbb\n── 1 "two" ─────────';
    const second = layout(below);
    expect(second.panes.map((pane) => paneTitle(grid(below), pane, second.borders))).toEqual(['0 "one"', '1 "two"']);
  });

  it('holds on to a line that was written over, until half of it is gone', () => {
    const before = layout('aaaaaaaaaa\n──────────\nbbbbbbbbbb');
    expect(panes('aaaaaaaaaa\n[ 1.2]────\nbbbbbbbbbb', before)).toHaveLength(1);
    expect(panes('aaaaaaaaaa\n[ 1]──────\nbbbbbbbbbb', before)).toHaveLength(2);
    expect(panes('aaaaaaaaaa\ncccccccccc\nbbbbbbbbbb', before)).toHaveLength(1);
    expect(panes('aaaaa\n[ ]──\nbbbbb', before)).toHaveLength(1);
  });
});

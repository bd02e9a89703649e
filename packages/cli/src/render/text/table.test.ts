import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { renderTable, type Column } from './table.js';

interface Row {
  readonly name: string;
  readonly pid: string;
  readonly note: string;
}

const columns: readonly Column<Row>[] = [
  { title: 'NAME', value: ({ name }) => name, minWidth: 6 },
  { title: 'PID', value: ({ pid }) => pid, hide: 1 },
  { title: 'NOTE', value: ({ note }) => note, minWidth: 8 },
];
const rows = [
  { name: 'web', pid: '12', note: 'powered off' },
  { name: 'a-very-long-name', pid: '13', note: '漢字漢字漢字漢字漢字漢字' },
];

describe('a table', () => {
  it('is aligned, and whole when it does not go to a terminal', () => {
    expect(renderTable(columns, rows)).toBe(
      'NAME              PID  NOTE\nweb               12   powered off\na-very-long-name  13   漢字漢字漢字漢字漢字漢字\n',
    );
  });

  it('leaves out a column without any text', () => {
    expect(renderTable(columns, [{ name: 'web', pid: '12', note: '' }])).toBe('NAME  PID\nweb   12\n');
  });

  it.each([40, 30, 20, 17])('fits %i cells', (width) => {
    const lines = renderTable(columns, rows, width).trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(width);
    expect(lines[1]).toMatch(/^web/);
  });

  it('cuts long cells before it hides a column', () => {
    expect(renderTable(columns, rows, 27)).toContain('PID');
    expect(renderTable(columns, rows, 17)).not.toContain('PID');
  });
});

import { describe, expect, it } from 'vitest';
import { record, RUN } from '../run-files/run.fixture.js';
import { toJUnit } from './junit.js';

describe('toJUnit', () => {
  it('orders attempts by index, distinguishes failures from errors, and escapes guest text', () => {
    const finding = {
      kind: 'bug',
      severity: 'error' as const,
      title: ']]></failure>\u001b[31m"\ud800',
      signature: '',
      at: 5,
      evidence: ['\0 <script> & \u202e'],
      times: 2,
    };
    const xml = toJUnit(RUN, [
      record(2, 'inconclusive', { reason: 'QEMU died\nhere' }),
      record(1, 'reproduced', { findings: [finding] }),
    ]);
    expect(xml.indexOf('attempt 1')).toBeLessThan(xml.indexOf('attempt 2'));
    expect(xml).toContain('tests="2" failures="1" errors="1"');
    expect(xml).toContain('message="]]&gt;&lt;/failure&gt;\\x1b[31m&quot;\\xd800"');
    expect(xml).toContain('\\x00 &lt;script&gt; &amp; \\x202e');
    expect(xml).toContain('message="QEMU died&#10;here"');
  });
});

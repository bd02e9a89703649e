import { expect, it } from 'vitest';
import { PatternDetector } from './pattern-detector.js';

const LOSS = { kind: 'data-loss', pattern: /data loss of (\d+)/, severity: 'error' } as const;
const bytes = (text: string) => new TextEncoder().encode(text);

it('finds a pattern in a line that comes in pieces, whatever the colours in it', () => {
  const detector = new PatternDetector([LOSS]);
  const [one, two] = [bytes('ok\r\nü data \u001b[31mloss of'), bytes(' 12\u001b[0m blocks\r\nmore')];
  expect([...detector.push(one, 1), ...detector.push(two, 5)]).toEqual([
    {
      kind: 'data-loss',
      severity: 'error',
      title: 'data loss of 12',
      signature: 'data-loss',
      at: 5,
      evidence: ['ü data \u001b[31mloss of 12\u001b[0m blocks'],
    },
  ]);
});

it('finds it in each line, also with a global pattern, and in the last one without an end', () => {
  const detector = new PatternDetector([{ ...LOSS, pattern: /loss/g, title: 'lost' }]);
  expect(detector.push(bytes('loss\nloss\nlo'), 0)).toHaveLength(2);
  expect(detector.push(bytes('ss'), 0)).toEqual([]);
  expect(detector.end(9)).toMatchObject([{ title: 'lost', signature: 'lost', at: 9 }]);
});

it('is bounded for a guest that floods its console', () => {
  const detector = new PatternDetector([LOSS]);
  for (let i = 0; i < 10; i += 1) detector.push(bytes('x'.repeat(1 << 20)), 0);
  const found = detector.push(bytes(`\n${'data loss of 1\n'.repeat(5000)}`), 0);
  expect(found).toHaveLength(100);
});

import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { scan } from './kernel-log-detector.js';

const FOLDER = fileURLToPath(new URL('../../../../../tests/fixtures/kernel-log/variants/', import.meta.url));

interface Case {
  readonly expected: readonly string[];
  readonly lines: readonly string[];
}

/** `=== KIND: TITLE`, several with ` && ` between, then the kernel's message without any prefix. */
function casesOf(file: string): Case[] {
  const sections = readFileSync(FOLDER + file, 'utf8')
    .split(/^=== /m)
    .slice(1);
  return sections.map((section) => {
    const [expected = '', ...lines] = section.trimEnd().split('\n');
    return { expected: expected.split(' && '), lines };
  });
}

const stamp = (index: number) => `[   61.${String(index * 37).padStart(6, '0')}]`;
const FORMS: Readonly<Record<string, (line: string, index: number) => string>> = {
  'with timestamps': (line, index) => `${stamp(index)} ${line}\n`,
  'with caller tags and carriage returns': (line, index) => `<4>${stamp(index)}[ T5931] ${line}\r\n`,
  'by syslog': (line) => `Nov 24 06:00:00 host kernel: ${line}\n`,
};

describe.each(readdirSync(FOLDER))('%s', (file) => {
  for (const { expected, lines } of casesOf(file)) {
    test(expected.join(', then '), () => {
      for (const [form, prefixed] of Object.entries(FORMS)) {
        const found = scan(lines.map(prefixed).join(''));
        expect(
          found.map(({ kind, title }) => `${kind}: ${title}`),
          form,
        ).toEqual(expected);
      }
      // Words that anybody may print count only where the kernel's prefix stands before them.
      if (expected[0]?.startsWith('rust-panic') === true) return;
      const bare = scan(`${lines.join('\n')}\n`);
      expect(
        bare.map(({ kind, title }) => `${kind}: ${title}`),
        'without any prefix',
      ).toEqual(expected);
    });
  }
});

const HEALTHY = fileURLToPath(new URL('../../../../../tests/fixtures/kernel-log/healthy/', import.meta.url));

test.each(readdirSync(HEALTHY))('nothing is wrong with %s', (file) => {
  expect(scan(readFileSync(HEALTHY + file))).toEqual([]);
});

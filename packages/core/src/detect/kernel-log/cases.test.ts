import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { scan } from './scan.js';

const FOLDER = fileURLToPath(new URL('../../../../../tests/fixtures/kernel-log/', import.meta.url));

/** tests/fixtures/kernel-log/README.md */
interface Expectation {
  readonly findings: readonly { readonly kind: string; readonly title: string }[];
  /** The log holds messages without a prefix, and means the same behind any. */
  readonly messages?: boolean;
}

const groups = readdirSync(FOLDER, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);
const names = (group: string, ending: string) =>
  readdirSync(`${FOLDER}${group}`)
    .filter((file) => file.endsWith(ending))
    .map((file) => file.slice(0, -ending.length))
    .sort();
const summary = (findings: readonly { readonly kind: string; readonly title: string }[]) =>
  findings.map(({ kind, title }) => `${kind}: ${title}`);

const stamp = (index: number) => `[   61.${String(index * 37).padStart(6, '0')}]`;
const PREFIXES: Readonly<Record<string, (line: string, index: number) => string>> = {
  'with timestamps': (line, index) => `${stamp(index)} ${line}\n`,
  'with caller tags and carriage returns': (line, index) => `<4>${stamp(index)}[ T5931] ${line}\r\n`,
  'by syslog': (line) => `Nov 24 06:00:00 host kernel: ${line}\n`,
  'by a journal in another language': (line) => `sty 24 06:00:00 host kernel: ${line}\n`,
  'by a CI service': (line) => `2026-11-24T06:00:00.1234567Z ${line}\n`,
};

describe.each(groups)('%s', (group) => {
  test('every log has its expectation', () => {
    expect(names(group, '.log')).toEqual(names(group, '.json'));
  });

  test.each(names(group, '.log'))('%s', (name) => {
    const expectation: Expectation = JSON.parse(readFileSync(`${FOLDER}${group}/${name}.json`, 'utf8'));
    const log = readFileSync(`${FOLDER}${group}/${name}.log`);
    if (expectation.messages === true) checkMessages(log.toString(), expectation);
    else checkLog(log, expectation);
  });
});

function checkLog(log: Uint8Array, { findings }: Expectation): void {
  const found = scan(log);
  expect(summary(found)).toEqual(summary(findings));
  found.forEach((finding, index) => {
    expect(finding).toMatchObject({ cut: false, interleaved: false, ...findings[index] });
    expect(finding.evidence.length).toBeGreaterThan(0);
  });
}

function checkMessages(messages: string, { findings }: Expectation): void {
  const lines = messages.trimEnd().split('\n');
  const expected = summary(findings);
  const values = findings.map((finding) => expect.objectContaining(finding));
  for (const [form, prefixed] of Object.entries(PREFIXES)) {
    // Words that any program may print count only after the kernel's prefix.
    if (form === 'by a CI service' && expected[0]?.startsWith('rust-panic') === true) continue;
    const found = scan(lines.map(prefixed).join(''));
    expect(summary(found), form).toEqual(expected);
    expect(found, form).toEqual(values);
  }
  if (expected[0]?.startsWith('rust-panic') === true) return;
  expect(summary(scan(`${lines.join('\n')}\n`)), 'without any prefix').toEqual(expected);
}

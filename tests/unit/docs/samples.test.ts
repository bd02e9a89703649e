import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as core from '@qmpilot/core';
import * as terminal from '@qmpilot/core/console';
import * as detect from '@qmpilot/core/detect';
import * as qmp from '@qmpilot/core/qmp';
import * as statistics from '@qmpilot/core/statistics';
import * as testing from '@qmpilot/core/testing';
import { createJiti } from 'jiti';
import { describe, expect, it, vi } from 'vitest';
import { readPages, ROOT, type Block } from './pages.js';
import { checkSamples } from './samples.js';

const blocks = readPages().flatMap((page) => page.blocks);
const samples = blocks.filter(({ language }) => language === 'ts');

it('every sample compiles against the library', { timeout: 120_000 }, () => {
  expect(checkSamples(samples, core)).toEqual([]);
});

it('a sample that does not compile is told by its line', { timeout: 120_000 }, () => {
  const wrong: Block = {
    at: 'x.md:7',
    page: 'x.md',
    line: 7,
    language: 'ts',
    marks: [],
    text: "await vm.exec('true');\nawait vm.exek('true');",
  };
  expect(checkSamples([wrong], core)).toEqual([expect.stringMatching(/^x\.md:8: Property 'exek' does not exist/)]);
});

it('the tour of the API is the example that the end-to-end tests run', () => {
  const [tour] = samples.filter(({ page }) => page === 'docs/api-tour.md');
  expect(readFileSync(join(ROOT, 'examples/api-tour.ts'), 'utf8')).toContain(tour?.text);
});

describe('a sample that is marked runnable prints what it says that it prints', () => {
  const jiti = createJiti(import.meta.url, {
    virtualModules: {
      '@qmpilot/core': core,
      '@qmpilot/core/console': terminal,
      '@qmpilot/core/detect': detect,
      '@qmpilot/core/qmp': qmp,
      '@qmpilot/core/statistics': statistics,
      '@qmpilot/core/testing': testing,
    },
    fsCache: false,
  });
  const runnable = samples.filter(({ marks }) => marks.includes('runnable'));

  it.each(runnable)('$at', async ({ at, text }) => {
    const printed: string[] = [];
    const log = vi
      .spyOn(console, 'log')
      .mockImplementation((...values: unknown[]) => void printed.push(values.map(String).join(' ')));
    try {
      await jiti.evalModule(text, { filename: join(ROOT, `${at}.ts`), async: true });
    } finally {
      log.mockRestore();
    }
    expect(printed).toEqual([...text.matchAll(/\/\/ prints: (.*)$/gm)].map(([, line]) => line));
  });

  it('there are some', () => {
    expect(runnable.length).toBeGreaterThan(3);
  });
});

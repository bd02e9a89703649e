import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string) => fileURLToPath(new URL(`./packages/core/src/${path}`, import.meta.url));
const alias = [
  { find: /^@qmpilot\/core$/, replacement: source('index.ts') },
  { find: '@qmpilot/core/internal', replacement: source('internal.ts') },
  { find: /^@qmpilot\/core\/(qmp|detect|statistics|bisect|queue|testing|vitest)$/, replacement: source('$1/index.ts') },
  { find: /^@qmpilot\/core\/(vm|console|guests|report)$/, replacement: source('entries/$1.ts') },
  { find: '@qmpilot/core/ssh', replacement: source('shell/ssh/index.ts') },
];

export default defineConfig({
  test: {
    pool: 'forks',
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'tests/unit/**/*.test.ts'],
          testTimeout: 120_000,
        },
      },
      {
        resolve: { alias },
        test: { name: 'fuzz', include: ['tests/fuzz/**/*.test.ts'], testTimeout: 300_000 },
      },
      {
        resolve: { alias },
        test: {
          name: 'contract',
          include: ['tests/contract/**/*.test.ts'],
          setupFiles: ['tests/support/own-folders.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          maxWorkers: 2,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'browser',
          include: ['tests/browser/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
      {
        resolve: { alias },
        // Two at a time: a fault waits more than it works.
        test: {
          name: 'faults',
          include: ['tests/faults/**/*.test.ts'],
          testTimeout: 3_600_000,
          hookTimeout: 600_000,
          fileParallelism: false,
          maxConcurrency: 2,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'e2e',
          include: ['tests/e2e/**/*.test.ts'],
          setupFiles: ['tests/support/own-folders.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
          maxWorkers: 2,
          maxConcurrency: 2,
        },
      },
    ],
  },
});

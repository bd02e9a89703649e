import { defineConfig } from 'tsup';
import { minifyBundled } from '../../tools/tsup/minify-bundled.js';

export default defineConfig([
  {
    entry: {
      'index': 'src/index.ts',
      'internal': 'src/internal.ts',
      'vm/index': 'src/entries/vm.ts',
      'console/index': 'src/entries/console.ts',
      'guests/index': 'src/entries/guests.ts',
      'qmp/index': 'src/qmp/index.ts',
      'detect/index': 'src/detect/index.ts',
      'statistics/index': 'src/statistics/index.ts',
      'bisect/index': 'src/bisect/index.ts',
      'queue/index': 'src/queue/index.ts',
      'report/index': 'src/entries/report.ts',
      'ssh/index': 'src/shell/ssh/index.ts',
      'testing/index': 'src/testing/index.ts',
      'vitest/index': 'src/vitest/index.ts',
    },
    format: 'esm',
    // Less than a tenth of it is used.
    noExternal: ['valibot'],
    platform: 'node',
    target: 'node20',
    dts: { compilerOptions: { ignoreDeprecations: '6.0', rootDir: 'src' } },
    // The page is built beside this, and cleans its own folder.
    clean: ['!report-page/**'],
    sourcemap: true,
    esbuildPlugins: [minifyBundled],
  },
  {
    // Script and styles of report.html, each one file that is put into the page as it is.
    entry: {
      page: 'src/report/client/main.ts',
      style: 'src/report/client/report.css',
      bisection: 'src/report/client/bisection.css',
    },
    outDir: 'dist/report-page',
    format: 'iife',
    platform: 'browser',
    target: 'es2022',
    noExternal: [/.*/],
    outExtension: () => ({ js: '.js' }),
    minify: true,
    clean: true,
  },
]);

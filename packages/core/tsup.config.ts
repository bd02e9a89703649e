import { defineConfig } from 'tsup';

export default defineConfig({
  entry: { index: 'src/index.ts', 'qmp/index': 'src/qmp/index.ts', 'detect/index': 'src/detect/index.ts' },
  format: 'esm',
  platform: 'node',
  target: 'node20',
  dts: { compilerOptions: { ignoreDeprecations: '6.0', rootDir: 'src' } },
  clean: true,
  sourcemap: true,
});

import { readFile } from 'node:fs/promises';
import type { Options } from 'tsup';

/**
 * Removes whitespace and comments of bundled packages, half of their size. Code of this repository stays as it is, for stack traces and for
 * reading it in node_modules.
 */
export const minifyBundled: NonNullable<Options['esbuildPlugins']>[number] = {
  name: 'minify-bundled',
  setup(build) {
    build.onLoad({ filter: /[/\\]node_modules[/\\].*\.m?js$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      return {
        contents: (await build.esbuild.transform(source, { minifyWhitespace: true, legalComments: 'inline' })).code,
      };
    });
  },
};

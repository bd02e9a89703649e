import { readFile } from 'node:fs/promises';
import type { Options } from 'tsup';

/**
 * Removes the whitespace and comments of bundled packages. The code of this repository keeps its own, for stack traces and for people who
 * read it in node_modules.
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

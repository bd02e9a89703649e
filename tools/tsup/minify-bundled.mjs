import { readFile } from 'node:fs/promises';

/**
 * An esbuild plugin that removes the whitespace and comments of bundled packages, a third of their size when compressed. Code of this
 * repository stays as it is, for stack traces and for reading it in node_modules.
 */
export const minifyBundled = {
  name: 'minify-bundled',
  setup({ onLoad, esbuild }) {
    onLoad({ filter: /[/\\]node_modules[/\\].*\.m?js$/ }, async ({ path }) => ({
      contents: (
        await esbuild.transform(await readFile(path, 'utf8'), { minifyWhitespace: true, legalComments: 'inline' })
      ).code,
    }));
  },
};

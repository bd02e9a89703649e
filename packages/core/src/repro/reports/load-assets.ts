import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { QmpilotError } from '../../errors.js';
import type { PageAssets } from '../../report/html/document.js';
import { packageFolder } from '../../util/files/package-folder.js';

let assets: Promise<PageAssets> | undefined;

/** Returns the pages' script and styles, from where the build put them. */
export function loadAssets(): Promise<PageAssets> {
  assets ??= (async () => {
    const folder = join(packageFolder(), 'dist', 'report-page');
    const [script = '', style = '', bisectionStyle = ''] = await Promise.all(
      ['page.js', 'style.css', 'bisection.css'].map((name) => readFile(join(folder, name), 'utf8')),
    );
    if (/<\/script|<!--/i.test(script))
      throw new QmpilotError('IO', `the page's script in ${folder} was modified after the build`, {
        hint: 'reinstall @qmpilot/core',
      });
    return { script, style, bisectionStyle };
  })().catch((cause: unknown) => {
    assets = undefined;
    throw cause instanceof QmpilotError
      ? cause
      : new QmpilotError('INTERNAL', "the page's script and style are missing", {
          cause,
          hint: 'reinstall @qmpilot/core, or build it',
        });
  });
  return assets;
}

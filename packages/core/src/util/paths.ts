import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * Where images, kept snapshots and what was learned about this host are kept: `$QMPILOT_CACHE`, else
 * `$XDG_CACHE_HOME/qmpilot`, else `~/.cache/qmpilot`. Relative values are ignored, as the XDG base directory
 * specification asks.
 */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  const own = env['QMPILOT_CACHE'];
  if (own && isAbsolute(own)) return own;
  const xdg = env['XDG_CACHE_HOME'];
  return join(xdg && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'qmpilot');
}

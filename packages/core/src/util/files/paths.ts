import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * Returns the cache folder: images, saved snapshots, what was measured on this host. `$QMPILOT_CACHE`, else
 * `$XDG_CACHE_HOME/qmpilot`, else `~/.cache/qmpilot`. Relative values are ignored, as in the XDG base directory specification.
 */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  return root(env['QMPILOT_CACHE'], env['XDG_CACHE_HOME'], '.cache');
}

/** Returns the state folder (named VMs, histories): `$QMPILOT_STATE`, else `$XDG_STATE_HOME/qmpilot`, else `~/.local/state/qmpilot`. */
export function stateRoot(env: NodeJS.ProcessEnv = process.env): string {
  return root(env['QMPILOT_STATE'], env['XDG_STATE_HOME'], join('.local', 'state'));
}

function root(own: string | undefined, xdg: string | undefined, belowHome: string): string {
  if (own && isAbsolute(own)) return own;
  return join(xdg && isAbsolute(xdg) ? xdg : join(homedir(), belowHome), 'qmpilot');
}

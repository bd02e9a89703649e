import type { PreparedGuest } from '../../guests/guest.js';
import type { Vm } from '../vm.js';
import { bootFromCache, isBootCacheOn, whyNotCached } from './boot-cache.js';
import { bootCold } from './boot-cold.js';
import type { BootOptions } from './boot-options.js';

/** Boots a prepared guest, from the boot cache where that is on and possible. */
export async function bootPrepared(guest: PreparedGuest, options: BootOptions): Promise<Vm> {
  if (options.cache ?? isBootCacheOn()) {
    const refusal = whyNotCached(guest, options);
    if (refusal === undefined) return bootFromCache(guest, options);
    options.onProgress?.(`not from the boot cache: ${refusal}`);
  }
  return bootCold(guest, options);
}

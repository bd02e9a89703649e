import type { Finding } from './finding.js';

/** How long a console may say nothing. */
export interface SilenceOptions {
  /** How long nothing may be heard before it counts, in ms. */
  readonly afterMs: number;
  /** What is silent, as the finding says it. Default `console`. */
  readonly what?: string;
}

/** Finds out when a console has fallen silent. */
export interface SilenceDetector {
  /** Something was heard. */
  heard(atMs: number): void;
  /** Time passes: a finding once per silence. */
  tick(atMs: number): Finding[];
}

/** Tells that a guest which should say something (a heartbeat, a console) has fallen silent. */
export function createSilenceDetector(options: SilenceOptions): SilenceDetector {
  const { afterMs, what = 'console' } = options;
  let last: number | undefined;
  let told = false;
  return {
    heard(atMs) {
      last = atMs;
      told = false;
    },
    tick(atMs) {
      last ??= atMs;
      if (told || atMs - last < afterMs) return [];
      told = true;
      const title = `no output from ${what}`;
      return [
        {
          kind: 'silence',
          severity: 'error',
          title,
          signature: title,
          at: atMs,
          evidence: [`nothing for ${Math.round(atMs - last)} ms`],
        },
      ];
    },
  };
}

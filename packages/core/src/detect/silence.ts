import type { Finding } from './finding.js';

/** Options of the silence detector. */
export interface SilenceOptions {
  /** Time without output that counts as silence, in ms. */
  readonly afterMs: number;
  /** Name of the source, for the finding. Default `console`. */
  readonly what?: string;
}

/** Finds out when a console has fallen silent. */
export interface SilenceDetector {
  /** Something was heard. */
  heard(atMs: number): void;
  /** Time passes: a finding once per silence. */
  tick(atMs: number): Finding[];
}

/** Detects that a source of output (a heartbeat, a console) has become silent. */
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

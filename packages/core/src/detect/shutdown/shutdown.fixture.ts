import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { formatShutdown } from './format-shutdown.js';
import { createShutdownDetector, type ShutdownDetector } from './shutdown-detector.js';
import { judgeShutdown } from './verdict.js';

export const capture = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../../../../tests/fixtures/console/${name}.raw`, import.meta.url)));

export const WISH = { wanted: 'poweroff', slowAfterMs: 60_000 } as const;

export function shown(detector: ShutdownDetector, at: number): string {
  const report = detector.report(at);
  return formatShutdown({ ...report, ...judgeShutdown(report, WISH), wanted: 'poweroff' });
}

/** The captures begin with a boot; nobody says when the poweroff was asked for. */
export function fed(bytes: Uint8Array, size = bytes.length): ShutdownDetector {
  const detector = createShutdownDetector();
  for (let at = 0; at < bytes.length; at += size) detector.console(bytes.subarray(at, at + size), 1);
  return detector;
}

/** Asked for at 0, the lines at 2 s. */
export function fedLines(...lines: string[]): ShutdownDetector {
  const detector = createShutdownDetector();
  detector.requested(0);
  for (const line of lines) detector.console(`${line}\r\n`, 2000);
  return detector;
}

export const said = (...chunks: string[]) => {
  const detector = createShutdownDetector();
  detector.requested(0);
  chunks.forEach((chunk, index) => detector.console(`${chunk}\r\n`, (index + 1) * 1000));
  return detector.report((chunks.length + 1) * 1000);
};
export const phases = (...chunks: string[]) => said(...chunks).phases.map(({ phase }) => phase);

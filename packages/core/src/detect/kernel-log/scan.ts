import { createLogDecoder } from './input/log-decoder.js';
import { createKernelLogDetector } from './kernel-log-detector.js';
import type { KernelLogFinding } from './kernel-log-finding.js';

/**
 * Finds the failures in a log that is there in full, in any form that `createLogDecoder` knows; `at` is the kernel's own
 * time in ms where the log has it, else 0.
 */
export function scan(log: string | Uint8Array): KernelLogFinding[] {
  const decoder = createLogDecoder();
  const detector = createKernelLogDetector();
  const bytes = typeof log === 'string' ? Buffer.from(log) : log;
  const found = [...detector.push(decoder.push(bytes), 0), ...detector.push(decoder.end(), 0), ...detector.end(0)];
  return found.map((finding) =>
    finding.kernelTime === undefined ? finding : { ...finding, at: Math.round(finding.kernelTime * 1000) },
  );
}

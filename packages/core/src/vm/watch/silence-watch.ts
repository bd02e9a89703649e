import type { Candidate, Finding } from '../../detect/finding.js';
import { createSilenceDetector } from '../../detect/silence.js';
import type { VmContext } from '../context.js';
import { diagnose } from '../inspect/diagnose.js';

export interface SilenceWatchOptions {
  readonly afterMs: number;
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly found: (findings: readonly Finding[]) => void;
}

export interface SilenceWatch {
  /** A silent guest that is being diagnosed. */
  readonly candidates: readonly Candidate[];
  stop(): void;
}

const TICK_MS = 500;

/** Diagnoses the guest when its console has been silent for `afterMs`; one that idles at its prompt is not a finding. */
export function watchSilence(context: VmContext, options: SilenceWatchOptions): SilenceWatch {
  const { afterMs, signal, now, found } = options;
  const detector = createSilenceDetector({ afterMs });
  detector.heard(now());
  let asking: Candidate | undefined;
  const look = async (silence: Finding) => {
    const { state, reason, console } = await diagnose(context, { quiet: afterMs, signal });
    if (state === 'alive') return detector.heard(now());
    const title = `guest ${TITLE[state]}`;
    found([{ ...silence, title, signature: `silence: ${state}`, evidence: [reason, ...console] }]);
  };
  const timer = setInterval(() => {
    const [silence] = asking ? [] : detector.tick(now());
    if (!silence) return;
    asking = { id: 'silence', kind: 'silence', title: silence.title, since: silence.at };
    void look(silence)
      .catch(() => {})
      .finally(() => (asking = undefined));
  }, TICK_MS);
  const forget = context.console.onBytes(() => detector.heard(now()));
  return {
    get candidates() {
      return asking ? [asking] : [];
    },
    stop() {
      asking = undefined;
      clearInterval(timer);
      forget();
    },
  };
}

const TITLE = {
  'qemu-gone': 'silent: QEMU is gone',
  'panicked': 'panicked',
  'watchdog': 'silent: its watchdog expired',
  'stopped': 'stopped by QEMU',
  'qemu-stuck': 'silent: QEMU does not answer',
  'spinning': 'silent: virtual CPUs spin',
  'working': 'silent, though at work',
  'idle': 'silent: all virtual CPUs are idle',
  'silent': 'silent',
} as const;

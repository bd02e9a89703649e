import type { Console } from '../console/console.js';
import type { Screen } from '../console/screen/screen.js';
import { safeLine } from '../util/text/text-hygiene.js';
import type { Vm } from '../vm/vm.js';
import { VmEvidence } from './evidence.js';

const CONSOLE_LINES = 12;
/** Time to create the message before the test times out. */
const MARGIN_MS = 1000;

/** Checks by shape, because two copies of this package may be loaded. @throws TypeError for anything but a VM */
export function requireVm(received: unknown, matcher: string): Vm {
  if (isVm(received)) return received;
  throw new TypeError(`${matcher} takes a VM: expect(vm).${matcher}(...); it was given ${describe(received)}`);
}

/** @throws TypeError for what has no screen */
export function requireScreen(received: unknown, matcher: string): Screen {
  if (isVm(received)) return received.console.screen;
  if (has(received, 'screen') && isScreen(received.screen)) return received.screen;
  if (isScreen(received)) return received;
  throw new TypeError(`${matcher} takes a VM, a console or a screen; it was given ${describe(received)}`);
}

/** Time and signal of the test for an operation that was given none, so that it ends before the test does and can say why. */
export function withinTest(
  received: unknown,
  limitMs: number,
): { readonly timeout: number; readonly signal?: AbortSignal } {
  const evidence = isVm(received) ? VmEvidence.of(received) : undefined;
  const left = evidence?.remaining === undefined ? limitMs : evidence.remaining - MARGIN_MS;
  const timeout = left > 0 ? Math.min(limitMs, left) : limitMs;
  return { timeout, ...(evidence?.signal && { signal: evidence.signal }) };
}

/** The end of the console for a message; of a fork that has printed nothing yet, what its screen shows. */
export function lastLines({ console }: { readonly console: Console }): string[] {
  const printed = console.lastLines(CONSOLE_LINES);
  const lines = printed.some((line) => line.trim() !== '')
    ? printed
    : console.screen.text().split('\n').slice(-CONSOLE_LINES);
  return ['', 'the console, at the end:', ...lines.map((line) => `  ${safeLine(line)}`)];
}

function isVm(value: unknown): value is Vm {
  return has(value, 'poweroff') && typeof value.poweroff === 'function' && has(value, 'console');
}

function isScreen(value: unknown): value is Screen {
  return has(value, 'waitUntil') && typeof value.waitUntil === 'function' && has(value, 'program');
}

function has<K extends string>(value: unknown, key: K): value is Record<K, unknown> {
  return typeof value === 'object' && value !== null && key in value;
}

function describe(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return `an object of ${value.constructor?.name ?? 'no class'}`;
}

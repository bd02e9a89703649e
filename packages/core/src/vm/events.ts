import type { Finding } from '../detect/finding.js';

/** An event of a VM, as plain JSON for a journal. It may contain text of the guest. */
export type VmEvent = { readonly at: number } & (
  | { readonly type: 'qmp'; readonly event: string; readonly data: Readonly<Record<string, unknown>> }
  | { readonly type: 'started'; readonly pid: number }
  | { readonly type: 'snapshot'; readonly name: string; readonly ms: number }
  | { readonly type: 'restored'; readonly name: string; readonly ms: number }
  /** A forwarded port could not be kept when another QEMU took over: another process of the host has the port now. */
  | { readonly type: 'forward-lost'; readonly guestPort: number; readonly port: number; readonly reason: string }
  /** `output`: the last 1000 characters of standard output and error. */
  | {
      readonly type: 'exec';
      readonly command: string;
      readonly exitCode: number;
      readonly ms: number;
      readonly output?: string;
    }
  /** Keystrokes, on the serial console or on the keyboard of the graphical one: a text, or keys by their names; neither when it was a secret. */
  | {
      readonly type: 'typed';
      readonly into: 'console' | 'keyboard';
      readonly text?: string;
      readonly keys?: readonly string[];
    }
  | { readonly type: 'finding'; readonly finding: Finding }
  | { readonly type: 'poweroff'; readonly phase: string }
  | { readonly type: 'ended'; readonly message: string }
);

/** `Omit` over each member of the union. */
export type NewVmEvent = VmEvent extends infer E ? (E extends { at: number } ? Omit<E, 'at'> : never) : never;

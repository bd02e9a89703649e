import type { CopyReport, PoweroffReport, ProcessStacks, VmDiagnosis } from '@qmpilot/core';
import type { KernelImage, SnapshotInfo, VmExplanation } from '@qmpilot/core/vm';
import type { WaitRequest } from './handlers/wait-request.js';

/** Hidden command that runs the daemon. */
export const DAEMON_COMMAND = 'vm-daemon';

/** `status` is `running`, `paused` or another run state of QMP, or `off` when QEMU has ended and a snapshot can be restored. */
export interface VmStatus {
  readonly name: string;
  readonly status: string;
  /** Why QEMU has ended. */
  readonly reason?: string;
  readonly guest: string;
  readonly qemuPid?: number;
  readonly daemonPid: number;
  readonly accelerator: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly startedAt: string;
  readonly snapshots: readonly SnapshotInfo[];
}

/** The calls that a daemon serves for a VM: arguments, events, result. Bytes are base64. */
export interface Verbs {
  readonly status: { readonly args: object; readonly event: never; readonly result: VmStatus };
  /** With `stdin`, the client sends `{input}`, and `{inputEnd: true}`; an event says how many bytes of it the command was given. */
  readonly exec: {
    readonly args: {
      readonly command: string;
      readonly stdin?: boolean | undefined;
      readonly user?: string | undefined;
      readonly cwd?: string | undefined;
      readonly env?: Readonly<Record<string, string>> | undefined;
      readonly timeout?: number | undefined;
    };
    readonly event: { readonly from: 'stdout' | 'stderr'; readonly bytes: string } | { readonly taken: number };
    readonly result: { readonly exitCode: number; readonly durationMs: number };
  };
  /** Lasts until the client leaves. The client sends `{bytes}`, and `{columns, rows}` of its terminal; the first event draws the screen. */
  readonly console: {
    readonly args: { readonly columns?: number; readonly rows?: number };
    readonly event: { readonly bytes: string };
    readonly result: null;
  };
  /** Runs a program on a terminal of its own, until it exits or the client leaves. The client sends what `console` takes. */
  readonly terminal: {
    readonly args: {
      readonly command: string;
      readonly user?: string | undefined;
      readonly cwd?: string | undefined;
      readonly env?: Readonly<Record<string, string>> | undefined;
      readonly columns?: number;
      readonly rows?: number;
    };
    readonly event: { readonly bytes: string };
    readonly result: { readonly exitCode: number };
  };
  readonly type: { readonly args: { readonly text: string }; readonly event: never; readonly result: null };
  readonly press: { readonly args: { readonly keys: readonly string[] }; readonly event: never; readonly result: null };
  readonly screen: {
    readonly args: { readonly form: 'text' | 'svg' | 'html' };
    readonly event: never;
    readonly result: {
      readonly text: string;
      readonly rows: number;
      readonly columns: number;
      readonly cursor: { readonly row: number; readonly column: number };
    };
  };
  /** A PNG, as base64. */
  readonly screenshot: { readonly args: object; readonly event: never; readonly result: { readonly png: string } };
  readonly snapshot: {
    readonly args: { readonly snapshot: string };
    readonly event: never;
    readonly result: SnapshotInfo;
  };
  /** Saves a snapshot to a directory of the host; takes it first if there is none of that name. */
  readonly saveSnapshot: {
    readonly args: { readonly snapshot: string; readonly directory: string };
    readonly event: never;
    readonly result: SnapshotInfo;
  };
  readonly removeSnapshot: {
    readonly args: { readonly snapshot: string };
    readonly event: never;
    readonly result: null;
  };
  readonly restore: {
    readonly args: { readonly snapshot: string };
    readonly event: never;
    readonly result: { readonly ms: number };
  };
  /** The new VM has its own name and socket, in the same daemon. */
  readonly fork: {
    readonly args: { readonly snapshot: string; readonly name: string };
    readonly event: never;
    readonly result: VmStatus;
  };
  readonly copyIn: Copy;
  readonly copyOut: Copy;
  readonly wait: {
    readonly args: WaitRequest & { readonly timeout?: number | undefined };
    readonly event: never;
    readonly result: null;
  };
  readonly sysrq: {
    readonly args: { readonly key: string };
    readonly event: never;
    readonly result: { readonly lines: readonly string[] };
  };
  readonly stacks: { readonly args: { readonly pid: number }; readonly event: never; readonly result: ProcessStacks };
  readonly diagnose: { readonly args: object; readonly event: never; readonly result: VmDiagnosis };
  readonly explain: {
    readonly args: { readonly minWait?: number | undefined; readonly btf?: string | undefined };
    readonly event: never;
    readonly result: VmExplanation;
  };
  /** `path` is absolute. */
  readonly dump: {
    readonly args: {
      readonly path: string;
      readonly format: 'elf' | 'kdump-zlib' | 'kdump-lzo' | 'kdump-snappy';
      readonly paging?: boolean | undefined;
      readonly timeout?: number | undefined;
    };
    readonly event: never;
    readonly result: null;
  };
  /** Lasts until the client leaves. */
  readonly gdb: {
    readonly args: object;
    readonly event: { readonly socket: string; readonly kernel: KernelImage };
    readonly result: null;
  };
  readonly poweroff: {
    readonly args: { readonly timeout?: number | undefined };
    readonly event: { readonly phase: string };
    readonly result: PoweroffReport;
  };
  readonly stop: { readonly args: object; readonly event: never; readonly result: null };
}

/** `from` and `to` are absolute paths. */
interface Copy {
  readonly args: { readonly from: string; readonly to: string; readonly timeout?: number | undefined };
  readonly event: never;
  readonly result: CopyReport;
}

export type Verb = keyof Verbs;
export type Args<V extends Verb> = Verbs[V]['args'];
export type Event<V extends Verb> = Verbs[V]['event'];
export type Result<V extends Verb> = Verbs[V]['result'];

/** Increased when a message changes its meaning: a daemon can be older than the command that calls it. */
export const PROTOCOL = 2;

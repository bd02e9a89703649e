/**
 * The parts of a VM: its shells, keyboard, waits, watches, snapshots and copies, with the types of all options and results.
 * @module
 */
export { chooseAccelerator } from '../qemu/accelerator.js';
export type { AcceleratorChoice } from '../qemu/accelerator.js';
export { findQemu } from '../qemu/host/binary.js';
export type { QemuBinary, QemuVersion } from '../qemu/host/binary.js';
export type { VmFacts } from '../qemu/vm-facts.js';
export { ConsoleShell } from '../shell/console-shell/console-shell.js';
export type { ExecChunk, ExecStream } from '../shell/exec-stream.js';
export { GuestAgentShell } from '../shell/guest-agent/guest-agent-shell.js';
export { SerialShell } from '../shell/serial/serial-shell.js';
export type { Shell } from '../shell/shell.js';
export type { ExecResult, ShellKind } from '../shell/exec-result.js';
export type { Command, ExecOptions } from '../shell/exec-options.js';
export type { SnapshotBlocker } from '../snapshot/blockers.js';
export type { SnapshotInfo } from '../snapshot/store.js';
export type { SnapshotStrategy } from '../snapshot/strategies/strategy.js';
export type { ConsolePattern } from '../detect/declared/pattern-detector.js';
export type { CopyOptions, CopyOutOptions, CopyProgress, CopyReport, SkippedEntry } from '../vm/copy/copy.js';
export type { VmState } from '../vm/machine/machine-life.js';
export type { VmEvent } from '../vm/events.js';
export { Keyboard } from '../vm/input/keyboard.js';
export type { ForwardedPort } from '../vm/network/port-forwards.js';
export type { KeyboardOptions } from '../vm/input/keyboard.js';
export type { KeyboardLayout } from '../vm/input/keyboard-layouts.js';
export type { SysrqOptions } from '../vm/input/sysrq.js';
export type { DiagnoseOptions, VmDiagnosis } from '../vm/inspect/diagnose.js';
export { findVmlinux, readVmcoreinfo } from '../vm/inspect/debuggers/find-vmlinux.js';
export type { FindVmlinuxOptions, Vmlinux, WantedKernel } from '../vm/inspect/debuggers/find-vmlinux.js';
export type { GdbServer } from '../vm/inspect/debuggers/gdb-server.js';
export type { KernelImage } from '../vm/inspect/debuggers/kernel-image.js';
export type { DumpOptions } from '../vm/inspect/dump/dump.js';
export { explainDump } from '../vm/inspect/explain/explain-dump.js';
export type { ExplainDumpOptions } from '../vm/inspect/explain/explain-dump.js';
export type { ExplainOptions, VmExplanation } from '../vm/inspect/explain/explain.js';
export type {
  Explanation,
  LockOwner,
  LockWait,
  StuckTask,
  TaskActivity,
} from '../introspect/explanation/explanation.js';
export type { LockKind } from '../introspect/locks/lock-wait.js';
export type { TaskState } from '../introspect/tasks/tasks.js';
export type { KillOptions } from '../vm/inspect/kill-and-report.js';
export type { ScreenshotOptions } from '../vm/inspect/screenshot.js';
export type { ProcessStacks, StacksOptions, ThreadStacks } from '../vm/inspect/stacks.js';
export type { PoweroffOptions, PoweroffReport } from '../vm/power/poweroff.js';
export type { GuestProcess, SpawnOptions } from '../vm/shells/guest-process.js';
export type { InputStream } from '../vm/shells/input-stream.js';
export type { OpenShellOptions, VmExecOptions, VmShellKind } from '../vm/shells/shell-options.js';
export type { ForkManyOptions, ForkOptions, RestoreOptions, SnapshotOptions } from '../vm/snapshots/options.js';
export type { PoolOptions } from '../vm/snapshots/pool.js';
export type { SnapshotFacts } from '../vm/snapshots/snapshot.js';
export type { TakeOptions, Vm, VmSnapshot as Snapshot, VmSnapshotPool as SnapshotPool } from '../vm/vm.js';
export type { UntilOptions } from '../vm/wait/combine.js';
export type { WaitValues } from '../vm/wait/combine.js';
export type { CommandWait } from '../vm/wait/command.js';
export type { FileWait } from '../vm/wait/file.js';
export type { PortWait } from '../vm/wait/port.js';
export type { TextWait } from '../vm/wait/text.js';
export type { UnitWait } from '../vm/wait/unit.js';
export type { CommandRunner, WaitForOptions, WaitState, WaitTarget } from '../vm/wait/wait.js';
export { Wait } from '../vm/wait/wait-namespace.js';
export type { CommandCheck } from '../vm/watch/check-watch.js';
export type { FirstOptions, Watch } from '../vm/watch/watch.js';
export type { WatchSpec } from '../vm/watch/watch-spec.js';

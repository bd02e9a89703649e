/**
 * What scripts and scenarios need: boot a guest, drive, snapshot and inspect its VM, and repeat a scenario until it fails.
 * @module
 */
export { AbortedError, isQmpilotError, QmpCommandError, QmpilotError, TimeoutError } from './errors.js';
export type { ErrorCode, ErrorDetails, ErrorEvidence } from './errors.js';
export type { WaitOptions } from './util/async/deadline.js';
export { parseDuration } from './util/time/duration.js';
export type { Duration } from './util/time/duration.js';

export { direct } from './guests/direct.js';
export type { DirectOptions } from './guests/direct.js';
export type { GuestDescription } from './guests/guest.js';
export { nixos } from './guests/nixos/nixos.js';
export type { NixosOptions } from './guests/nixos/nixos.js';

export type { Accelerator, AcceleratorRequest } from './qemu/accelerator.js';
export { debian } from './vm/setup/debian.js';
export type { DebianOptions } from './vm/setup/debian.js';
export { attach } from './vm/start/attach.js';
export type { AttachOptions } from './vm/start/attach-machine.js';
export { boot } from './vm/start/boot.js';
export type { BootOptions } from './vm/start/boot-options.js';
export { openSnapshot } from './vm/start/open-snapshot.js';
export type { OpenSnapshotOptions } from './vm/start/open-saved-snapshot.js';
export { listSavedSnapshots, removeSavedSnapshots } from './snapshot/saved-snapshots.js';
export type { SavedSnapshot } from './snapshot/saved/cache.js';

export type { VmFacts } from './qemu/vm-facts.js';
export type { CopyOptions, CopyReport } from './vm/copy/copy.js';
export type { VmEvent } from './vm/events.js';
export type { VmDiagnosis } from './vm/inspect/diagnose.js';
export type { ProcessStacks } from './vm/inspect/stacks.js';
export type { PoweroffOptions, PoweroffReport } from './vm/power/poweroff.js';
export type { ForkManyOptions, ForkOptions, RestoreOptions, SnapshotOptions } from './vm/snapshots/options.js';
export type { PoolOptions } from './vm/snapshots/pool.js';
export type { Vm, VmSnapshot as Snapshot, VmSnapshotPool as SnapshotPool } from './vm/vm.js';
export type { Watch } from './vm/watch/watch.js';
export type { WatchSpec } from './vm/watch/watch-spec.js';
export { Wait } from './vm/wait/wait-namespace.js';

export type { Console } from './console/console.js';
export type { ExpectMatch, ExpectOptions } from './console/expect.js';
export type { Screen } from './console/screen/screen.js';
export type { ExecChunk, ExecStream } from './shell/exec-stream.js';
export type { Shell } from './shell/shell.js';
export type { ExecResult } from './shell/exec-result.js';
export type { Command, ExecOptions } from './shell/exec-options.js';
export { shQuote as quote } from './util/text/sh-quote.js';
export type { OpenShellOptions, VmExecOptions } from './vm/shells/shell-options.js';

export type { DStateFinding, Finding, PoweroffStallFinding, Severity, StackFrame, TaskRef } from './detect/finding.js';
export type { KernelLogFinding, KernelLogKind } from './detect/kernel-log/kernel-log-finding.js';

export { runScenario } from './repro/run/run-scenario.js';
export type { AttemptQueue } from './repro/run/attempt-queue.js';
export type { RunOptions } from './repro/run/run-options.js';
export { defineScenario } from './repro/scenario.js';
export type { AttemptContext, FailOptions, FromCheckpointContext, PrepareContext, Scenario } from './repro/scenario.js';
export type { CheckpointOptions, CheckpointsOption } from './repro/checkpoints/checkpoint-options.js';
export type { ScenarioFinding } from './repro/scenario-finding.js';
export type { AttemptRecord, FailureCount, Outcome, RunEvent, RunSummary } from './run-files/attempt-record.js';

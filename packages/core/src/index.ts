export { AbortedError, isQmpilotError, QmpCommandError, QmpilotError, TimeoutError } from './errors.js';
export type { ErrorCode, ErrorDetails, ErrorEvidence } from './errors.js';
export type { WaitOptions } from './util/deadline.js';
export { parseDuration } from './util/duration.js';
export type { Duration } from './util/duration.js';
export { cacheRoot } from './util/paths.js';

export { connect, QmpClient } from './qmp/index.js';
export type { QmpAddress, QmpEvent } from './qmp/index.js';

export { findQemu } from './qemu/host/binary.js';
export type { QemuBinary, QemuVersion } from './qemu/host/binary.js';
export { chooseAccelerator } from './qemu/host/accelerator.js';
export type { Accelerator, AcceleratorChoice, AcceleratorRequest } from './qemu/host/accelerator.js';
export type { KernelSpec } from './qemu/command-line/arguments.js';
export { checkHost } from './qemu/host/doctor.js';
export type { HostCheck } from './qemu/host/doctor.js';

export { Channel } from './console/channel.js';
export { Console } from './console/console.js';
export type {
  ConsoleMemory,
  ConsoleOptions,
  ExpectMatch,
  ExpectOptions,
  Typed,
  TypeOptions,
} from './console/console.js';
export type { Pane, PaneSelector, Screen } from './console/screen/screen.js';
export type { ScreenCell, ScreenColor } from './console/screen/cell.js';
export type { RenderOptions, ScreenImage } from './console/screen/image.js';
export type { ScreenMatch, ScreenPart, ScreenWaitOptions, SettleOptions } from './console/screen/screen-wait.js';
export type { ScreenOptions, ScreenRegion, TerminalView } from './console/screen/terminal-view.js';
export { renderHtml } from './console/screen/render-html.js';
export { renderSvg } from './console/screen/render-svg.js';
export { FileTranscript } from './console/transcript.js';
export type { TranscriptWriter } from './console/transcript.js';

export { shQuote as quote } from './util/sh-quote.js';
export { ConsoleShell } from './shell/console-shell/console-shell.js';
export { GuestAgentShell } from './shell/guest-agent/guest-agent-shell.js';
export { SerialShell } from './shell/serial/serial-shell.js';
export type { ExecChunk, ExecStream } from './shell/exec-stream.js';
export type { Command, ExecOptions, ExecResult, Shell, ShellKind } from './shell/shell.js';

export * from './detect/index.js';

export { debian } from './guests/debian/debian.js';
export type { DebianOptions } from './guests/debian/debian.js';
export { buildDebianImage } from './guests/debian/build.js';
export { debianImageKey } from './guests/debian/recipe.js';
export type { DebianImageOptions, Defect } from './guests/debian/recipe.js';
export { nixos } from './guests/nixos/nixos.js';
export type { NixosCommonOptions, NixosOptions } from './guests/nixos/nixos.js';
export type { ScriptSpec } from './guests/nixos/interface.js';
export { direct } from './guests/direct.js';
export type { DirectOptions } from './guests/direct.js';
export type {
  GuestDescription,
  GuestDisk,
  PrepareContext as GuestPrepareContext,
  PreparedGuest,
  SerialLogin,
} from './guests/guest.js';
export { findImage, listImages, removeImages } from './guests/image-cache.js';
export type { GuestImage, ImageManifest } from './guests/image-cache.js';

export type { SnapshotBlocker } from './snapshot/blockers.js';
export type { SnapshotInfo } from './snapshot/store.js';
export type { SnapshotStrategy } from './snapshot/strategies/strategy.js';
export { attach } from './vm/start/attach.js';
export type { AttachOptions } from './vm/start/attach.js';
export { boot } from './vm/start/boot.js';
export type { BootOptions } from './vm/start/boot.js';
export type { DiagnoseOptions, VmDiagnosis } from './vm/inspect/diagnose.js';
export type { KillOptions } from './vm/inspect/kill-and-report.js';
export type { VmEvent } from './vm/events.js';
export { Keyboard } from './vm/input/keyboard.js';
export type { KeyboardOptions } from './vm/input/keyboard.js';
export type { KeyboardLayout } from './vm/input/keyboard-layouts.js';
export type { ScreenshotOptions } from './vm/inspect/screenshot.js';
export type { SysrqOptions } from './vm/input/sysrq.js';
export type { ProcessStacks, StacksOptions, ThreadStacks } from './vm/inspect/stacks.js';
export { all, any, until, waitForFile, waitForPort, waitForText, waitForUnit } from './vm/wait/waits.js';
export type { TextWait, UnitWait, Wait, WaitForOptions, WaitState, WaitTarget } from './vm/wait/waits.js';
export type { VmFacts } from './qemu/vm-facts.js';
export type { PoweroffOptions, PoweroffReport } from './vm/power/poweroff.js';
export type { PoolOptions } from './vm/snapshots/pool.js';
export { openSnapshot } from './vm/start/open-snapshot.js';
export type { OpenSnapshotOptions } from './vm/start/open-snapshot.js';
export { findPrepared, keepPrepared } from './vm/start/prepared.js';
export type { PreparedRequest } from './vm/start/prepared.js';
export { listSavedSnapshots, removeSavedSnapshots } from './snapshot/saved/cache.js';
export type { SavedSnapshot } from './snapshot/saved/cache.js';
export type { SnapshotFacts } from './vm/snapshots/snapshot.js';
export type { TakeOptions, Vm, VmSnapshot as Snapshot, VmSnapshotPool as SnapshotPool } from './vm/vm.js';
export type { CopyOptions, CopyOutOptions, CopyProgress, CopyReport, SkippedEntry } from './vm/copy/copy.js';
export type { OpenShellOptions, VmExecOptions, VmShellKind } from './vm/shells/vm-shells.js';
export type { ForkManyOptions, ForkOptions, RestoreOptions, SnapshotOptions } from './vm/snapshots/options.js';
export type { ConsolePattern } from './detect/declared/pattern-detector.js';
export type { CommandCheck } from './vm/watch/check-watch.js';
export type { FirstOptions, Watch } from './vm/watch/watch.js';
export type { WatchSpec } from './vm/watch/watch-spec.js';

export { defineScenario, isScenario, onGuest } from './repro/scenario.js';
export type { AttemptContext, FailOptions, PrepareContext, Scenario } from './repro/scenario.js';
export type { ScenarioFinding } from './repro/scenario-finding.js';
export { runScenario } from './repro/run.js';
export type { RunOptions } from './repro/run-options.js';
export { toJUnit } from './report/junit.js';
export { readRunFile } from './run-files/journal.js';
export { parseAttempts } from './run-files/attempts-file.js';
export type { AttemptsFile } from './run-files/attempts-file.js';
export { parseRunFile, parseShard } from './run-files/run-file.js';
export type { RunEnvironment, RunFile, RunSession, Shard } from './run-files/run-file.js';
export type { AttemptRecord, Outcome, RunEvent, RunSummary } from './run-files/attempt-record.js';

export { readRuns } from './repro/read-run.js';
export type { ReadRunOptions } from './repro/read-run.js';
export { reportJUnit } from './repro/report-junit.js';
export { writeReport } from './repro/write-report.js';
export type { AttemptEvidence, Fact, RunDescription, RunInput } from './report/input.js';
export { renderMarkdown } from './report/markdown.js';
export { renderText } from './report/text.js';
export { reportData } from './report/report-data.js';
export type { ReportData, RunData } from './report/report-data.js';
export { analyze } from './report/analysis.js';
export type { FailureGroup, RunAnalysis } from './report/analysis.js';
export type { GoalResult } from './report/goal.js';
export type { Comparison, ComparisonVerdict } from './report/comparison.js';

export { AbortedError, isQmpilotError, QmpCommandError, QmpilotError, TimeoutError } from './errors.js';
export type { ErrorCode, ErrorDetails, ErrorEvidence } from './errors.js';
export type { WaitOptions } from './util/deadline.js';
export { parseDuration } from './util/duration.js';
export type { Duration } from './util/duration.js';
export { cacheRoot } from './util/paths.js';

export { connect, QmpClient } from './qmp/index.js';
export type { QmpAddress, QmpEvent } from './qmp/index.js';

export { findQemu } from './qemu/binary.js';
export type { QemuBinary, QemuVersion } from './qemu/binary.js';
export { chooseAccelerator } from './qemu/accelerator.js';
export type { Accelerator, AcceleratorChoice } from './qemu/accelerator.js';
export { checkHost } from './qemu/doctor.js';
export type { HostCheck } from './qemu/doctor.js';

export { Channel } from './console/channel.js';
export { Console } from './console/console.js';
export type { ExpectMatch, ExpectOptions } from './console/console.js';
export type { Pane, PaneSelector, Screen } from './console/screen.js';
export type { ScreenCell, ScreenColor } from './console/screen-cell.js';
export type { RenderOptions, ScreenImage } from './console/screen-image.js';
export type { ScreenMatch, ScreenPart, ScreenWaitOptions, SettleOptions } from './console/screen-wait.js';
export type { ScreenOptions, ScreenRegion, TerminalView } from './console/terminal-view.js';
export { renderHtml } from './console/render-html.js';
export { renderSvg } from './console/render-svg.js';
export { FileTranscript } from './console/transcript.js';
export type { TranscriptWriter } from './console/transcript.js';

export { OutOfBandShell } from './shell/out-of-band-shell.js';
export type { ExecOptions, ExecResult, Shell } from './shell/shell.js';

export * from './detect/index.js';

export { debian } from './guests/debian/debian.js';
export type { DebianOptions } from './guests/debian/debian.js';
export { buildDebianImage } from './guests/debian/build.js';
export { debianImageKey } from './guests/debian/recipe.js';
export type { DebianImageOptions, Defect } from './guests/debian/recipe.js';
export { nixos } from './guests/nixos/nixos.js';
export type { NixosOptions } from './guests/nixos/nixos.js';
export type { ScriptSpec } from './guests/nixos/interface.js';
export { direct } from './guests/direct.js';
export type { DirectOptions } from './guests/direct.js';
export type { GuestDescription, GuestDisk, PrepareContext as GuestPrepareContext, PreparedGuest, SerialLogin } from './guests/guest.js';
export { findImage, listImages, removeImages } from './guests/image-cache.js';
export type { GuestImage, ImageManifest } from './guests/image-cache.js';

export type { SnapshotInfo, SnapshotStrategy } from './snapshot/store.js';
export { attach } from './vm/attach.js';
export type { AttachOptions } from './vm/attach.js';
export { boot } from './vm/boot.js';
export type { BootOptions } from './vm/boot.js';
export type { VmEvent } from './vm/events.js';
export { Keyboard } from './vm/keyboard.js';
export type { KeyboardOptions } from './vm/keyboard.js';
export type { KeyboardLayout } from './vm/keyboard-layouts.js';
export type { ScreenshotOptions } from './vm/screenshot.js';
export type { ProcessStacks, StacksOptions, ThreadStacks } from './vm/stacks.js';
export { all, any, until, waitForFile, waitForPort, waitForText, waitForUnit } from './vm/waits.js';
export type { TextWait, UnitWait, Wait, WaitForOptions, WaitState, WaitTarget } from './vm/waits.js';
export type { VmFacts } from './vm/facts.js';
export type { PoweroffOptions, PoweroffReport } from './vm/poweroff.js';
export type { PoolOptions, SnapshotPool } from './vm/pool.js';
export type { Snapshot } from './vm/snapshot.js';
export type { Vm } from './vm/vm.js';
export type { ForkOptions, RestoreOptions, SnapshotOptions } from './vm/vm-snapshots.js';
export type { FirstOptions, Watch, WatchSpec } from './vm/watch.js';

export { defineScenario, isScenario } from './repro/scenario.js';
export type { AttemptContext, PrepareContext, Scenario } from './repro/scenario.js';
export { runScenario } from './repro/run.js';
export type { RunOptions } from './repro/run.js';
export type { AttemptRecord, Outcome, RunEvent, RunSummary } from './records/records.js';
export { median } from './statistics/median.js';
export { rateDifference, wilsonInterval } from './statistics/wilson.js';
export type { Count } from './statistics/wilson.js';
export { fisherExact, holm } from './statistics/fisher.js';
export type { FisherResult } from './statistics/fisher.js';
export { chanceOfAllClean, cleanAttemptsNeeded, cleanAttemptsNeededAfter } from './statistics/attempts-needed.js';
export { kaplanMeier } from './statistics/kaplan-meier.js';
export type { Observation, SurvivalCurve, SurvivalStep } from './statistics/kaplan-meier.js';
export { formatRateGoal, parseRateGoal, parseShare } from './statistics/rate-goal.js';
export type { RateGoal } from './statistics/rate-goal.js';
export { SequentialTest } from './statistics/sequential-test.js';
export type { Decision } from './statistics/sequential-test.js';

export { readRuns } from './repro/read-run.js';
export type { ReadRunOptions } from './repro/read-run.js';
export { writeReport } from './repro/write-report.js';
export type { AttemptEvidence, RunDescription, RunInput } from './report/input.js';
export { renderMarkdown } from './report/markdown.js';
export { renderText } from './report/text.js';
export { reportData } from './report/report-data.js';
export type { ReportData, RunData } from './report/report-data.js';
export { analyze } from './report/analysis.js';
export type { FailureGroup, RunAnalysis } from './report/analysis.js';
export type { Comparison, ComparisonVerdict } from './report/comparison.js';

export type {
  Candidate,
  DStateFinding,
  Finding,
  LeftProcess,
  PoweroffStallFinding,
  Severity,
  StackFrame,
  TaskRef,
} from './finding.js';
export type { BlockedOn, KernelLogFinding, KernelLogKind, MemoryAccess } from './kernel-log/kernel-log-finding.js';
export type { TextEncoding } from './kernel-log/input/text-encoding.js';
export { createLogDecoder } from './kernel-log/input/log-decoder.js';
export type { LogDecoder } from './kernel-log/input/log-decoder.js';
export { scan } from './kernel-log/scan.js';
export { createKernelLogDetector, showsTimestamps } from './kernel-log/kernel-log-detector.js';
export type { KernelLogDetector, KernelLogDetectorOptions } from './kernel-log/kernel-log-detector.js';
export type { UnreadLines } from './kernel-log/unread.js';
export { createDStateDetector } from './threads/d-state-detector.js';
export type { DStateDetector, DStateOptions, StuckThread } from './threads/d-state-detector.js';
export { describeKillEffect } from './threads/kill-effect.js';
export type { KillEffect, KillOutcome } from './threads/kill-effect.js';
export { parseThreadSample } from './threads/thread-sample.js';
export type { BlockedThread, ThreadSample } from './threads/thread-sample.js';
export { THREAD_SAMPLE_SCRIPT, threadSampleScript } from './threads/thread-sample-script.js';
export { parseBlockedTasks, sampleOfDump } from './threads/blocked-tasks.js';
export type { DumpedTask } from './threads/blocked-tasks.js';
export { createShutdownDetector } from './shutdown/shutdown-detector.js';
export type { ShutdownDetector } from './shutdown/shutdown-detector.js';
export type { ShutdownEnd, ShutdownReport } from './shutdown/shutdown-report.js';
export type { ShutdownPhase } from './shutdown/shutdown-phase.js';
export type { ShutdownJob } from './shutdown/stop-jobs.js';
export { judgeShutdown } from './shutdown/verdict.js';
export type { ShutdownJudgement, ShutdownVerdict, ShutdownWish } from './shutdown/verdict.js';
export { formatShutdown } from './shutdown/format-shutdown.js';
export { createSilenceDetector } from './silence.js';
export type { SilenceDetector, SilenceOptions } from './silence.js';
export { parseGdbBacktrace, parseGdbThreads } from './stacks/gdb-backtrace.js';
export type { GdbFrame, GdbThread } from './stacks/gdb-backtrace.js';
export { diagnoseLife } from './life/life-signs.js';
export type { CpuActivity, Diagnosis, LifeSigns, LifeState } from './life/life-signs.js';
export { describeBoot, formatBootProgress } from './life/boot-stage.js';
export type { BootProgress, BootStage } from './life/boot-stage.js';

/**
 * Reads run directories, compares runs, finds when a failure was decided, and writes reports as HTML, Markdown, text, JSON and JUnit XML.
 * @module
 */
export { analyze } from '../report/analysis/analysis.js';
export type { RunAnalysis } from '../report/analysis/analysis.js';
export type { FailureGroup, FindingGroup } from '../report/analysis/failure-groups.js';
export type { Comparison, ComparisonVerdict } from '../report/analysis/comparison.js';
export type { GoalResult } from '../report/analysis/goal.js';
export type { AttemptEvidence, Fact, RunDescription, RunInput } from '../report/analysis/input.js';
export { toJUnit } from '../report/junit.js';
export { renderMarkdown } from '../report/markdown.js';
export { reportData } from '../report/analysis/report-data.js';
export type { FailureData, ReportData, RunData } from '../report/analysis/report-data.js';
export { renderWhen } from '../report/when/render-when.js';
export { renderText } from '../report/text.js';
export { readRuns } from '../repro/reports/read-run.js';
export type { ReadRunOptions } from '../repro/reports/read-run.js';
export { shardFromEnvironment } from '../repro/run/shard-from-environment.js';
export { reportJUnit } from '../repro/reports/report-junit.js';
export { measureWhen } from '../repro/when/measure-when.js';
export type { WhenFork } from '../repro/when/when-journal.js';
export type { WhenEvent, WhenOptions } from '../repro/when/when-options.js';
export type { WhenPoint, WhenResult } from '../run-files/when-file.js';
export { writeReport } from '../repro/reports/write-report.js';
export type {
  AttemptRecord,
  CheckpointRecord,
  FailureCount,
  KeptCheckpoints,
  Outcome,
  RunEvent,
  RunSummary,
} from '../run-files/attempt-record.js';
export { parseAttempts } from '../run-files/attempts-file.js';
export type { AttemptsFile } from '../run-files/attempts-file.js';
export { readRunFile } from '../run-files/journal.js';
export { parseRunFile, parseShard } from '../run-files/run-file.js';
export type { CheckpointSettings, RunEnvironment, RunFile, RunSession, Shard } from '../run-files/run-file.js';

import type { BuildLine } from '../journal.js';

export interface BuildRequest {
  /** An end has to build. */
  readonly isEnd: boolean;
  readonly signal: AbortSignal | undefined;
  /** It is built during attempts, which go first. */
  readonly ahead?: boolean;
}

/** Makes builds, one at a time. */
export interface Builder {
  /** Returns the directory of a commit's build. */
  directory(commit: string): string;
  /** Removes what a killed session left. */
  recover(): Promise<void>;
  build(commit: string, request: BuildRequest): Promise<BuildLine>;
  /** Builds a commit in which another one is reverted. The line is that of `name`, which stands for it. */
  buildReverted(commit: string, culprit: string, name: string): Promise<BuildLine>;
  close(): Promise<void>;
}

import { monotonicMs } from '../../util/time/clock.js';
import type { BuildLine } from '../journal.js';
import type { BisectEvent } from '../options.js';
import type { Builder } from './builder.js';

interface BuildsOptions {
  readonly signal: AbortSignal | undefined;
  readonly tell: (event: BisectEvent) => void;
}

/** A build that was begun before anybody asked for it. */
interface Ahead {
  readonly commit: string;
  readonly controller: AbortController;
  readonly begun: number;
  /** Undefined when it was ended, or could not be made. */
  readonly line: Promise<BuildLine | undefined>;
}

/**
 * Makes builds, and begins likely ones while attempts run. The journal gets a build when it is asked for, so that the decisions of a
 * bisection are the same with and without builds ahead.
 */
export class Builds {
  readonly #builder: Builder;
  readonly #options: BuildsOptions;
  readonly #done = new Map<string, BuildLine>();
  #running: Ahead | undefined;
  /** What is to be built after the running one. */
  #wanted: readonly string[] = [];

  constructor(builder: Builder, options: BuildsOptions) {
    this.#builder = builder;
    this.#options = options;
  }

  /** Returns the directory of a commit's build. */
  directory(commit: string): string {
    return this.#builder.directory(commit);
  }

  /** Removes what a killed session left. */
  async recover(): Promise<void> {
    return this.#builder.recover();
  }

  /** Builds these commits, the first one first, until another build is asked for. What is built now and not among them is ended. */
  ahead(commits: readonly string[]): void {
    const running = this.#running;
    this.#wanted = commits.filter((commit) => commit !== running?.commit && !this.#done.has(commit));
    if (!running) this.#beginNext();
    else if (!commits.includes(running.commit)) running.controller.abort(new Error('the build is not needed'));
  }

  /** Builds a commit, or returns what a build ahead came to. @throws what the builder throws */
  async build(commit: string, { isEnd }: { readonly isEnd: boolean }): Promise<BuildLine> {
    const asked = monotonicMs();
    this.#wanted = [];
    if (this.#running?.commit === commit) {
      const { begun } = this.#running;
      const line = await this.#running.line;
      if (line) this.#done.set(commit, { ...line, aheadMs: Math.min(line.ms, Math.round(asked - begun)) });
    }
    const done = this.#done.get(commit);
    if (done) return { ...done, aheadMs: done.aheadMs ?? done.ms };
    await this.stop();
    return this.#tellBuild(commit, false, () => this.#builder.build(commit, { isEnd, signal: this.#options.signal }));
  }

  /** Builds a commit in which another one is reverted. The line is that of `name`, which stands for it. */
  async buildReverted(commit: string, culprit: string, name: string): Promise<BuildLine> {
    await this.stop();
    return this.#builder.buildReverted(commit, culprit, name);
  }

  /** Ends builds ahead. */
  async stop(): Promise<void> {
    this.#wanted = [];
    const running = this.#running;
    running?.controller.abort(new Error('the build is not needed'));
    await running?.line;
  }

  /** Ends builds ahead, and removes what builds leave behind. */
  async close(): Promise<void> {
    await this.stop();
    await this.#builder.close();
  }

  #beginNext(): void {
    const [commit, ...others] = this.#wanted;
    if (commit === undefined || this.#options.signal?.aborted === true) return;
    this.#wanted = others;
    const controller = new AbortController();
    const signal = AbortSignal.any([controller.signal, ...(this.#options.signal ? [this.#options.signal] : [])]);
    const begun = monotonicMs();
    const line = this.#tellBuild(commit, true, () =>
      this.#builder.build(commit, { isEnd: false, signal, ahead: true }),
    ).then(
      (made) => {
        this.#done.set(commit, made);
        return made;
      },
      // What was wrong is seen again when the build is asked for.
      () => undefined,
    );
    const running: Ahead = { commit, controller, begun, line };
    this.#running = running;
    void line.then(() => {
      this.#running = undefined;
      this.#beginNext();
    });
  }

  async #tellBuild(commit: string, ahead: boolean, make: () => Promise<BuildLine>): Promise<BuildLine> {
    const { tell } = this.#options;
    tell({ type: 'building', commit, ...(ahead && { ahead }) });
    try {
      return await make();
    } finally {
      tell({ type: 'built', commit });
    }
  }
}

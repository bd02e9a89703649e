import type { ConsoleShell } from '../../shell/console-shell/console-shell.js';
import { awaitWithin } from '../../util/async/deadline.js';
import { consoleReserved, consolesClosed } from './shell-errors.js';

/** Short commands at the same time take turns; only for a longer wait another bash is started in the guest. */
const OPEN_AFTER_MS = 100;

interface Waiter {
  readonly give: (shell: ConsoleShell) => void;
  readonly refuse: (error: unknown) => void;
}

/**
 * The console shells that the commands of one VM share: its main one, and those opened on spare consoles while that is busy. A command
 * that hangs occupies one of them, and the others stay usable.
 */
export class ConsolePool {
  readonly #main: ConsoleShell;
  readonly #open: () => Promise<ConsoleShell | undefined>;
  readonly #discard: (shell: ConsoleShell) => void;
  readonly #spares = new Set<ConsoleShell>();
  readonly #leased = new Set<ConsoleShell>();
  readonly #watched = new Set<ConsoleShell>();
  readonly #waiting = new Set<Waiter>();
  #opening: Promise<boolean> | undefined;
  #isReserved = false;
  #isClosed = false;

  /**
   * @param open opens a shell on another console; undefined when there is none left
   * @param discard forgets a shell of `open` that does not answer any more
   */
  constructor(
    main: ConsoleShell,
    open: () => Promise<ConsoleShell | undefined>,
    discard: (shell: ConsoleShell) => void,
  ) {
    this.#main = main;
    this.#open = open;
    this.#discard = discard;
  }

  /**
   * Runs `task` with a shell that runs nothing else at that time, in the order of the calls.
   * @throws {TIMEOUT} {ABORTED} when `signal` fires while all are busy; the error names what they run
   * @throws {SHELL_LOST} when the main one is reserved, and there is no other
   * @throws {CLOSED} when the VM is closed while all are busy
   */
  async use<T>(label: string, signal: AbortSignal | undefined, task: (shell: ConsoleShell) => Promise<T>): Promise<T> {
    const shell = await this.#lease(label, signal);
    try {
      return await task(shell);
    } finally {
      this.#leased.delete(shell);
      this.#offer();
    }
  }

  /**
   * The shell that a command would get now, or would wait for. When the main one is reserved, another is opened.
   * @throws {SHELL_LOST} when it is reserved, and there is no other
   */
  async next(): Promise<ConsoleShell> {
    const free = this.#free();
    if (free || !this.#isReserved) return free ?? this.#main;
    if (this.#spares.size === 0) await this.#addSpare();
    const [spare] = this.#spares;
    if (spare) return spare;
    throw consoleReserved();
  }

  /** Uses the main shell for nothing more: a command that was not started here runs on its console. */
  reserveMain(): void {
    this.#isReserved = true;
    this.#leased.add(this.#main);
  }

  /** Uses the main shell again: the command on its console is gone. */
  releaseMain(): void {
    if (!this.#isReserved) return;
    this.#isReserved = false;
    this.#leased.delete(this.#main);
    this.#offer();
  }

  /** Whether a command runs on the console of the main shell. */
  get isMainOccupied(): boolean {
    return !this.#isFree(this.#main);
  }

  /** Whether a command was given this shell, and may not have begun on it. */
  isLeased(shell: ConsoleShell): boolean {
    return this.#leased.has(shell);
  }

  /** Removes an idle spare shell from the pool and returns it. */
  takeSpare(): ConsoleShell | undefined {
    const shell = [...this.#spares].find((spare) => spare.answers && this.#isFree(spare));
    if (shell) this.#spares.delete(shell);
    return shell;
  }

  /** Refuses commands that wait for a shell. */
  close(): void {
    this.#isClosed = true;
    for (const { refuse } of this.#waiting) refuse(consolesClosed());
  }

  async #lease(label: string, signal: AbortSignal | undefined): Promise<ConsoleShell> {
    const free = this.#waiting.size === 0 && !signal?.aborted ? this.#free() : undefined;
    if (free) {
      this.#leased.add(free);
      return free;
    }
    if (this.#isClosed) throw consolesClosed();
    return awaitWithin<ConsoleShell>(
      {
        awaited: () => `${label}, behind ${this.#running()}`,
        details: () => ({
          hint: "all consoles are busy: openShell({ via: 'guest-agent' }) runs commands beside them, in guests with qemu-ga",
        }),
      },
      { signal },
      (resolve, reject) => {
        const waiter: Waiter = { give: resolve, refuse: reject };
        this.#waiting.add(waiter);
        const timer = setTimeout(() => void this.#openSpare(), OPEN_AFTER_MS);
        this.#watch();
        return () => {
          clearTimeout(timer);
          this.#waiting.delete(waiter);
        };
      },
    );
  }

  /** Gives free shells to waiting commands. */
  #offer(): void {
    for (const waiter of [...this.#waiting]) {
      const free = this.#free();
      if (!free) break;
      this.#waiting.delete(waiter);
      this.#leased.add(free);
      waiter.give(free);
    }
    if (this.#waiting.size > 0) this.#watch();
  }

  /** Shells also run commands that were not given to the pool. */
  #watch(): void {
    for (const shell of [this.#main, ...this.#spares]) {
      if (shell.isFree || this.#watched.has(shell)) continue;
      this.#watched.add(shell);
      void shell.idle().then(() => {
        this.#watched.delete(shell);
        this.#offer();
      });
    }
  }

  async #openSpare(): Promise<void> {
    if (this.#opening || this.#waiting.size === 0) return;
    if (await this.#addSpare()) {
      this.#offer();
      void this.#openSpare();
    } else if (this.#isReserved && this.#spares.size === 0) {
      // No shell will be free: the command on the main console is not ours.
      for (const { refuse } of this.#waiting) refuse(consoleReserved());
    }
  }

  /** @returns whether there was a console for another shell */
  #addSpare(): Promise<boolean> {
    this.#opening ??= this.#open()
      .catch(() => undefined)
      .then((shell) => {
        this.#opening = undefined;
        if (shell) this.#spares.add(shell);
        return shell !== undefined;
      });
    return this.#opening;
  }

  #free(): ConsoleShell | undefined {
    // After a restore the guest may have no bash on the console, or another one.
    for (const spare of [...this.#spares]) {
      if (spare.answers || !this.#isFree(spare)) continue;
      this.#spares.delete(spare);
      this.#discard(spare);
    }
    const free = [this.#main, ...this.#spares].filter((shell) => this.#isFree(shell));
    return free.find(({ answers }) => answers) ?? free[0];
  }

  #isFree(shell: ConsoleShell): boolean {
    return shell.isFree && !this.#leased.has(shell);
  }

  #running(): string {
    return [
      this.#isReserved ? 'a command that ran when its snapshot was taken' : undefined,
      ...[this.#main, ...this.#spares].map(({ running }) => running),
    ]
      .filter((running) => running !== undefined)
      .join(', ');
  }
}

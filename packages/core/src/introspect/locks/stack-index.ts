import type { KernelTask } from '../tasks/tasks.js';

/** Tells on whose kernel stack an address is. */
export class StackIndex {
  readonly #tasks: readonly KernelTask[];
  readonly #size: bigint;

  constructor(tasks: readonly KernelTask[], size: bigint) {
    this.#tasks = [...tasks].sort((a, b) => (a.stack < b.stack ? -1 : 1));
    this.#size = size;
  }

  at(address: bigint): KernelTask | undefined {
    let [low, high] = [0, this.#tasks.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#tasks[middle]?.stack ?? 0n) <= address) low = middle + 1;
      else high = middle;
    }
    const task = this.#tasks[low - 1];
    return task && address < task.stack + this.#size ? task : undefined;
  }
}

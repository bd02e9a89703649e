/** Undo steps, run last in first out, each once, all of them even when one throws. */
export class Cleanup implements AsyncDisposable {
  #steps: { readonly name: string; readonly run: () => unknown }[] = [];
  #closing: Promise<void> | undefined;

  /** After `close()` began, a new step runs at once. */
  add(name: string, run: () => unknown): void {
    if (this.#closing)
      void Promise.resolve()
        .then(run)
        .catch(() => {});
    else this.#steps.push({ name, run });
  }

  /** Drops the steps added so far: what they would undo is to stay. */
  forget(): void {
    this.#steps = [];
  }

  /** @throws AggregateError when steps failed; all the others still ran */
  close(): Promise<void> {
    this.#closing ??= this.#run();
    return this.#closing;
  }

  async #run(): Promise<void> {
    const failures: Error[] = [];
    for (let step = this.#steps.pop(); step; step = this.#steps.pop()) {
      try {
        await step.run();
      } catch (cause) {
        failures.push(new Error(`clean-up step failed: ${step.name}`, { cause }));
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.map((f) => f.message).join('; '));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

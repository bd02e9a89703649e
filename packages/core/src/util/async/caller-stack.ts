/** Node's limit of 10 frames ends within our own code, before the line that called it. */
const FRAMES = 30;

/** The stack of a call, for an error that is created later, by a timer or a poll. */
export class CallerStack {
  readonly #place = new Error();

  /** @param above the function that was called; it and what it calls are left out */
  constructor(above: (...given: never[]) => unknown) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = FRAMES;
    Error.captureStackTrace(this.#place, above);
    Error.stackTraceLimit = limit;
  }

  /** The error, whose stack shows the call: behind its own frames, or, for one that a timer made, in their place. */
  on<E extends Error>(error: E, own: 'keep' | 'drop'): E {
    const frames = framesOf(this.#place);
    const kept = own === 'drop' ? [] : framesOf(error).filter((frame) => !frames.includes(frame));
    error.stack = [`${error.name}: ${error.message}`, ...kept, ...frames].join('\n');
    return error;
  }
}

function framesOf({ stack = '' }: Error): string[] {
  return stack.split('\n').filter((line) => /^ {4}at /.test(line));
}

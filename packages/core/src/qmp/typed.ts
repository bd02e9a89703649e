/** `(args, options)`, where `args` may be left out if nothing in it is required. */
export type ExecuteArguments<A, O> =
  Record<never, never> extends A ? [args?: A | undefined, options?: O] : [args: A, options?: O];

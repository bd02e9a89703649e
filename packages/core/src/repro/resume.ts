/** For hints of errors that end a run. */
export const RESUME = '--resume continues with the run';

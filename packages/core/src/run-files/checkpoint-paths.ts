/** The folder of an attempt with the checkpoints that it has kept. */
export const CHECKPOINTS_FOLDER = 'checkpoints';

/** The folder of one checkpoint in it: a saved snapshot. */
export function checkpointFolder(number: number): string {
  return String(number).padStart(3, '0');
}

/** The folder of an attempt in its run directory. */
export function attemptFolder(index: number): string {
  return `attempts/${String(index).padStart(4, '0')}`;
}

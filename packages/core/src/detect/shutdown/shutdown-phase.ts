/** Phases of a shutdown, in order; `gone`: QEMU ended and no phase before was reported. */
export type ShutdownPhase =
  | 'requested'
  | 'units'
  | 'units-stopped'
  | 'final-kill'
  | 'unmount'
  | 'power-off'
  | 'off'
  | 'gone';

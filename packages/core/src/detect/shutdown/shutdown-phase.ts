/** How far a shutdown has come, in order; `gone`: QEMU ended without a word of it. */
export type ShutdownPhase =
  | 'requested'
  | 'units'
  | 'units-stopped'
  | 'final-kill'
  | 'unmount'
  | 'power-off'
  | 'off'
  | 'gone';

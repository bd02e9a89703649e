/**
 * Fixtures for tests of your own QEMU tools: a scripted QMP peer, connected streams, and a pseudo-terminal.
 * @module
 */
export { duplexPair } from './duplex-pair.js';
export { openPty } from './pty.js';
export type { Pty } from './pty.js';
export { ScriptedPeer, settle } from './scripted-peer.js';
export type { Asked } from './scripted-peer.js';

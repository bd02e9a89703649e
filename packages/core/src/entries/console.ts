/**
 * Serial consoles and terminal screens, also without a VM: a console over any duplex stream, and pictures of its screen.
 * @module
 */
export { Channel } from '../console/channel.js';
export { Console } from '../console/console.js';
export type { ConsoleMemory, ConsoleOptions } from '../console/console.js';
export type { Typed, TypeOptions } from '../console/type-options.js';
export type { ExpectMatch, ExpectOptions } from '../console/expect.js';
export type { ScreenCell, ScreenColor } from '../console/screen/cell.js';
export type { RenderOptions, ScreenImage } from '../console/screen/image.js';
export { renderHtml } from '../console/screen/render-html.js';
export { renderSvg } from '../console/screen/render-svg.js';
export type { ScreenMatch, ScreenPart, ScreenWaitOptions, SettleOptions } from '../console/screen/screen-part.js';
export type { Screen } from '../console/screen/screen.js';
export type { Pane, PaneSelector } from '../console/screen/screen-part.js';
export type { ScreenOptions, ScreenRegion, TerminalView } from '../console/screen/terminal-view.js';
export { FileTranscript } from '../console/transcript.js';
export type { TranscriptWriter } from '../console/transcript.js';

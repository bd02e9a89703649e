import { describe, expect, it } from 'vitest';
import { parseUsernet } from './usernet.js';

// QEMU 7.2: forwards of 8000 and of 22, and a connection that came through the first.
const TEXT = `Hub -1 (net0):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[ESTABLISHED]   24       127.0.0.1 42405       10.0.2.15  8000     0     0
  TCP[HOST_FORWARD]  21       127.0.0.1 42405       10.0.2.15  8000     0     0
  TCP[HOST_FORWARD]  22               * 2222        10.0.2.15    22     0     0
  UDP[236 sec]       25       10.0.2.15 49215      10.0.2.3    53     0     0
`;

describe('parseUsernet', () => {
  it('gives the forwarded ports, and no connections', () => {
    expect(parseUsernet(TEXT)).toEqual([
      { host: '127.0.0.1', hostPort: 42405, guestPort: 8000 },
      { host: '0.0.0.0', hostPort: 2222, guestPort: 22 },
    ]);
  });

  it('gives none for a guest without a network', () => {
    expect(parseUsernet('')).toEqual([]);
  });
});

/** A port of the host that leads to one of the guest, by QEMU's user-mode network. */
export interface PortForward {
  /** Address of the host, `127.0.0.1`. */
  readonly host: string;
  readonly hostPort: number;
  readonly guestPort: number;
}

/** Reads the forwarded TCP ports of `info usernet`: protocol, descriptor, source address and port, destination address and port. */
export function parseUsernet(text: string): PortForward[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*TCP\[HOST_FORWARD\]\s+\d+\s+(\S+)\s+(\d+)\s+\S+\s+(\d+)\s/.exec(line);
    const [, host, hostPort, guestPort] = match ?? [];
    if (host === undefined) return [];
    return [{ host: host === '*' ? '0.0.0.0' : host, hostPort: Number(hostPort), guestPort: Number(guestPort) }];
  });
}

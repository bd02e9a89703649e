import { dial, type ConnectOptions, type SocketAddress } from '../connect.js';
import { GuestAgent } from './guest-agent.js';

/**
 * Connects to a guest agent: the host's side of the virtio port `org.qemu.guest_agent.0`, or a qemu-ga that listens itself.
 * When the stream has ended, the next command opens the address again, and waits within its time for an agent to be there.
 * @param options `timeout` covers connecting and the agent's first answer (default 30 s)
 * @throws {USAGE} for a path over 107 bytes, and for TCP without `allowTcp: true`
 * @throws {QMP_LINK} when nothing listens there, or what answers is QMP
 * @throws {TIMEOUT} when no agent answers in time
 * @throws {ABORTED}
 */
export async function connectGuestAgent(address: SocketAddress, options: ConnectOptions = {}): Promise<GuestAgent> {
  let retry = options.retry ?? false;
  const agent = new GuestAgent(
    async (wait) => {
      const socket = await dial(address, { ...wait, retry });
      // An agent that was there once is given the time to come back.
      retry = true;
      return socket;
    },
    { limit: options.limit },
  );
  try {
    await agent.ready(options);
  } catch (error) {
    await agent.close();
    throw error;
  }
  return agent;
}

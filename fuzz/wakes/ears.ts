/**
 * Hears every wake, announcement and stream notice of a backend: of one in this process as its listener, of a server
 * on its channels, because a backend offers the work of its own process to its listeners without the server.
 */
import { Valkey } from 'iovalkey';
import { ONE_OF_EACH } from '../../model/partition.js';
import type { ChannelMessage } from '../../src/backend/wake-listeners.js';
import type { TestEngine } from '../../src/testing/index.js';
import { parseWake } from '../../src/valkey/wakes/parse.js';

export interface Ears {
  /** Begins to hear the frames of an execution. */
  watch(executionId: string): Promise<void>;
  /** The announcements since the last call, including all that an answered call has caused. */
  heard(): Promise<readonly ChannelMessage[]>;
  /** The backend was cleared or started again. */
  renew(): Promise<void>;
  close(): void;
}

/** Collects the announcements of a backend in this process. `lanes`: the lanes that can have work. */
export async function earsInProcess(engine: TestEngine, lanes: readonly string[]): Promise<Ears> {
  let said: ChannelMessage[] = [];
  let watched = new Set<string>();
  const listen = (message: ChannelMessage): void => void said.push(message);
  const renew = async (): Promise<void> => {
    said = [];
    watched = new Set();
    const { backend } = engine;
    await backend.onWake(lanes, listen);
    await backend.onAnnouncement('appended', listen);
    await backend.onAnnouncement('ended', listen);
  };
  await renew();
  return {
    async watch(executionId) {
      if (watched.has(executionId)) return;
      watched.add(executionId);
      await engine.backend.onFrames(executionId, listen);
    },
    async heard() {
      // Listeners are called in the turn after the call.
      await new Promise<void>((resolve) => setImmediate(resolve));
      return said.splice(0);
    },
    renew,
    close: () => undefined,
  };
}

/** Ears at a server, for everything published under a prefix. */
export async function earsAtServer(url: string, prefix: string): Promise<Ears> {
  const client = new Valkey(url, { lazyConnect: true });
  await client.connect();
  let said: ChannelMessage[] = [];
  const strange: string[] = [];
  client.on('pmessage', (_pattern: string, channel: string, message: string) => {
    const parsed = parseWake({ prefix, counts: ONE_OF_EACH }, channel, message);
    if (parsed === undefined) strange.push(`${channel}: ${message}`);
    else said.push(parsed);
  });
  await client.psubscribe(`${prefix}*`);
  return {
    watch: async () => undefined,
    async heard() {
      // It is answered behind everything that was published before it was sent.
      await client.ping();
      if (strange.length > 0) throw new Error(`published in no form that is read: ${strange.splice(0).join('; ')}`);
      return said.splice(0);
    },
    async renew() {
      await client.ping();
      said = [];
    },
    close: () => client.disconnect(),
  };
}

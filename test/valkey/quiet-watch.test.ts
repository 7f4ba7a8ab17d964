/** When a connection that says nothing is broken: it left a call unanswered for so many ticks, and nothing came at all. */
import { describe, expect, it } from 'vitest';
import type { Valkey } from 'iovalkey';
import { QuietWatch } from '../../src/valkey/connection/quiet-watch.js';

const TICKS = 3;

/** A connection with what the watch looks at. */
class Line {
  broken: string | undefined;
  readonly commandQueue: unknown[] = [];
  stream: { bytesRead: number; destroy(error: Error): void } | undefined = this.socket();
  private readonly watch = new QuietWatch(this as unknown as Valkey, TICKS);

  socket() {
    return { bytesRead: 0, destroy: (error: Error) => void (this.broken = error.message) };
  }

  /** Lets ticks pass, each with its turn of the event loop; `each` happens before it. */
  async tick(count: number, each: () => void = () => undefined): Promise<string | undefined> {
    for (let tick = 0; tick < count; tick++) {
      each();
      this.watch.tick();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return this.broken;
  }
}

describe('a quiet connection', () => {
  it('is broken off when it owes an answer for too long without any byte, and not a tick earlier', async () => {
    const line = new Line();
    line.commandQueue.push('GET');
    // The first look has nothing to compare with.
    expect(await line.tick(TICKS)).toBe(undefined);
    expect(await line.tick(1)).toContain('Nothing was received');
  });

  it('is kept while it owes no answer, however long', async () => {
    expect(await new Line().tick(10 * TICKS)).toBe(undefined);
  });

  it('is kept while bytes arrive, and the time counts from the last of them', async () => {
    const line = new Line();
    line.commandQueue.push('GET');
    expect(await line.tick(10 * TICKS, () => void ((line.stream as { bytesRead: number }).bytesRead += 1))).toBe(
      undefined,
    );
    expect(await line.tick(TICKS - 1)).toBe(undefined);
    expect(await line.tick(1)).toBeDefined();
  });

  it('counts as another one after a reconnection or its end', async () => {
    const line = new Line();
    line.commandQueue.push('GET');
    expect(await line.tick(10 * TICKS, () => (line.stream = line.socket()))).toBe(undefined);
    expect(await line.tick(TICKS, () => (line.stream = undefined))).toBe(undefined);
  });

  it('is not blamed for bytes that arrived while the event loop was blocked', async () => {
    const line = new Line();
    line.commandQueue.push('GET');
    await line.tick(TICKS);
    // Sockets are read after the timers of a turn, and before what was left to its end.
    const late = line.tick(1);
    (line.stream as { bytesRead: number }).bytesRead += 1;
    expect(await late).toBe(undefined);
  });
});

/**
 * Keeps the workers of this process in the registry of their namespace. They register when they start, send a heartbeat
 * every third of their time to live, all in one call, and leave when they are drained. The registry shows people
 * and schedulers which workers are alive. No work depends on it: a failed call is repeated with the next heartbeat.
 */
import type { ArgsOf } from '../../../model/machine.js';
import type { Backend } from '../../backend/backend.js';
import { within, type Cancel, type Clock } from '../../engine/clock.js';
import { isRetryable } from '../../engine/retry.js';
import { HEARTBEATS_PER_TTL, liftRouteBlocks } from '../../engine/workers.js';
import type { Logger } from '../../shared/logger.js';

/** The facts that a worker registers. */
export interface Registration extends Pick<ArgsOf<'registerWorker'>, 'workerId' | 'lanes' | 'capabilities' | 'kinds'> {
  readonly slots: number;
  readonly livenessTtlMs: number;
}

export interface RegisteredWorker {
  readonly workerInstanceId: string;
  /** The work that it takes at present. */
  registration(): Registration;
  /** Its load at present. */
  load(): { readonly running: number; readonly draining: boolean };
}

interface Entry {
  readonly worker: RegisteredWorker;
  readonly backend: Backend;
  /** Whether the registry knows it, as far as this process can tell. */
  known: boolean;
  /** Whether work that was blocked because no such worker was registered has been unblocked. */
  lifted: boolean;
  /** The call in flight, and whether another one must follow it. */
  inFlight: Promise<void> | undefined;
  again: boolean;
}

/** How long a closing worker waits for its removal from the registry, ms. */
const LEAVING_MS = 1_000;

export class Registrar {
  private readonly entries = new Map<string, Entry>();
  private cancelBeat: Cancel | undefined;
  private complained = false;

  constructor(private readonly options: { readonly namespace: string; readonly clock: Clock; readonly log: Logger }) {}

  /** Registers a worker and keeps it registered. Resolves after the first attempt. Never rejects. */
  async add(backend: Backend, worker: RegisteredWorker): Promise<void> {
    const entry: Entry = { worker, backend, known: false, lifted: false, inFlight: undefined, again: false };
    this.entries.set(worker.workerInstanceId, entry);
    await this.say(entry);
    this.nextBeat();
  }

  /** Call this when the work that the worker takes has changed. */
  changed(workerInstanceId: string): void {
    const entry = this.entries.get(workerInstanceId);
    if (entry === undefined) return;
    entry.known = false;
    entry.lifted = false;
    void this.say(entry);
  }

  /** Sends a heartbeat at once, because the worker takes no more work. */
  news(workerInstanceId: string): void {
    const entry = this.entries.get(workerInstanceId);
    if (entry !== undefined) void this.say(entry);
  }

  /** Removes a worker. Resolves when the registry has answered, or after a second. Never rejects. */
  async remove(workerInstanceId: string): Promise<void> {
    const entry = this.entries.get(workerInstanceId);
    if (entry === undefined) return;
    this.entries.delete(workerInstanceId);
    if (this.entries.size === 0) {
      this.cancelBeat?.();
      this.cancelBeat = undefined;
    }
    const { clock, namespace } = this.options;
    const leave = async (): Promise<void> => {
      await entry.inFlight;
      await entry.backend.markWorkerDead({ namespace, workerInstanceId, reason: 'drained', requestedBy: 'worker' });
    };
    await within(
      clock,
      LEAVING_MS,
      leave().catch(() => undefined),
    );
  }

  /** Heartbeats of all workers in one turn, so that they share a call. */
  private beat(): void {
    for (const entry of this.entries.values()) void this.say(entry);
    this.nextBeat();
  }

  private nextBeat(): void {
    if (this.entries.size === 0) return;
    this.cancelBeat?.();
    const times = Array.from(this.entries.values(), ({ worker }) => worker.registration().livenessTtlMs);
    this.cancelBeat = this.options.clock.after(Math.min(...times) / HEARTBEATS_PER_TTL, () => this.beat());
  }

  /** Registers the worker, or sends its heartbeat. One call at a time: changes during a call are sent after it. */
  private say(entry: Entry): Promise<void> {
    if (entry.inFlight === undefined) entry.inFlight = this.sayAll(entry).finally(() => (entry.inFlight = undefined));
    else entry.again = true;
    return entry.inFlight;
  }

  private async sayAll(entry: Entry): Promise<void> {
    do {
      entry.again = false;
      await this.sayNow(entry);
    } while (entry.again);
  }

  /** Unblocks work that a scheduler blocked because no such worker was registered. Retried with the next heartbeat. */
  private async lift(entry: Entry): Promise<void> {
    if (entry.lifted) return;
    const { lanes = [], capabilities = [], kinds } = entry.worker.registration();
    entry.lifted = true;
    try {
      await liftRouteBlocks(entry.backend, this.options.namespace, { lanes, capabilities, kinds });
    } catch {
      entry.lifted = false;
    }
  }

  private async sayNow(entry: Entry): Promise<void> {
    const { worker, backend } = entry;
    const { namespace } = this.options;
    const { workerInstanceId } = worker;
    if (this.entries.get(workerInstanceId) !== entry) return;
    try {
      if (entry.known) {
        const { kind } = await backend.heartbeatWorker({ namespace, workerInstanceId, ...worker.load() });
        if (kind === 'refreshed') return void this.lift(entry);
      }
      entry.known = true;
      await backend.registerWorker({ namespace, workerInstanceId, ...worker.registration() });
      void this.lift(entry);
    } catch (error) {
      entry.known = false;
      if (isRetryable(error) || this.complained) return;
      this.complained = true;
      this.options.log.warn('A worker cannot be registered: it works, but app.workers() does not list it.', error);
    }
  }
}

/** Everything that a backend has open towards its server. */
import type { EngineError } from '../../../model/errors.js';
import type { WakeSubscriber } from '../wakes/subscriber.js';
import type { CallRetrier } from './call-retrier.js';
import type { Client } from './clients.js';
import type { FoundRights } from '../boot/rights.js';
import type { Deadlines } from './deadlines.js';

type NoticeListener = (notice: EngineError) => void;

export interface ConnectionParts {
  /** What errors call the server. */
  readonly label: string;
  readonly client: Client;
  /** As the server reported it at boot. */
  readonly serverVersion: string;
  /** As they were found at boot. */
  readonly rights: FoundRights;
  readonly deadlines: Deadlines;
  readonly retrier: CallRetrier;
  readonly wakes: WakeSubscriber;
}

export class Connection {
  readonly label: string;
  readonly client: Client;
  readonly serverVersion: string;
  readonly retrier: CallRetrier;
  readonly wakes: WakeSubscriber;
  private readonly deadlines: Deadlines;
  private readonly noticeListeners = new Set<NoticeListener>();
  /** By code, what is wrong at the moment. */
  private standing: ReadonlyMap<string, EngineError> = new Map();
  private found: FoundRights;
  private readonly atClose: (() => void)[] = [];

  constructor({ label, client, serverVersion, rights, deadlines, retrier, wakes }: ConnectionParts) {
    this.label = label;
    this.client = client;
    this.serverVersion = serverVersion;
    this.found = rights;
    this.deadlines = deadlines;
    this.retrier = retrier;
    this.wakes = wakes;
    this.rights = rights;
  }

  /** Rights that not every user has, as they were found last. */
  get rights(): FoundRights {
    return this.found;
  }

  /** Wakes come when the user gets the rights to their channels. */
  set rights(found: FoundRights) {
    this.found = found;
    this.wakes.enable(found.channelsMissing === undefined);
  }

  /** Calls the listener for every notice, those included that stand already, until the returned function is called. */
  onNotice(listener: NoticeListener): () => void {
    const own: NoticeListener = (notice) => {
      try {
        listener(notice);
      } catch (error) {
        // A fault of the listener is its own, and not lost.
        queueMicrotask(() => {
          throw error;
        });
      }
    };
    this.noticeListeners.add(own);
    for (const notice of this.standing.values()) own(notice);
    return () => void this.noticeListeners.delete(own);
  }

  /** What is wrong now; listeners are told of what was not wrong before. */
  notices(now: readonly EngineError[]): void {
    const before = this.standing;
    this.standing = new Map(now.map((notice) => [notice.code, notice]));
    for (const [code, notice] of this.standing)
      if (!before.has(code)) for (const listener of [...this.noticeListeners]) listener(notice);
  }

  /** Runs when the connection is closed. */
  onClose(fn: () => void): void {
    this.atClose.push(fn);
  }

  close(): void {
    for (const fn of this.atClose.splice(0)) fn();
    this.retrier.close();
    this.wakes.close();
    this.client.disconnect();
    this.deadlines.close();
  }
}

/** The connections of a backend, and the services on them. */
import type { EngineError } from '../../../model/errors.js';
import { orWarn } from '../../util/quietly.js';
import type { WakeSubscriber } from '../wakes/subscriber.js';
import type { CallRetrier } from './call-retrier.js';
import type { Client } from './clients.js';
import type { FoundRights } from '../boot/rights.js';
import type { Deadlines } from './deadlines.js';
import { Reachability } from './reachability.js';

type NoticeListener = (notice: EngineError) => void;

export interface ConnectionParts {
  /** The name of the server in errors. */
  readonly label: string;
  readonly client: Client;
  /** The version that the server reported at boot. */
  readonly serverVersion: string;
  /** See `ServerCapabilities`. */
  readonly appendOnly: boolean | undefined;
  /** The optional rights found at boot. */
  readonly rights: FoundRights;
  readonly deadlines: Deadlines;
  readonly retrier: CallRetrier;
  readonly wakes: WakeSubscriber;
}

export class Connection {
  readonly label: string;
  readonly client: Client;
  readonly serverVersion: string;
  readonly appendOnly: boolean | undefined;
  readonly retrier: CallRetrier;
  readonly wakes: WakeSubscriber;
  private readonly deadlines: Deadlines;
  private readonly noticeListeners = new Set<NoticeListener>();
  /** Current notices, by code. */
  private currentNotices: ReadonlyMap<string, EngineError> = new Map();
  private currentRights: FoundRights;
  private readonly reachability: Reachability;
  private readonly atClose: (() => void)[] = [];

  constructor({ label, client, serverVersion, appendOnly, rights, deadlines, retrier, wakes }: ConnectionParts) {
    this.label = label;
    this.client = client;
    this.serverVersion = serverVersion;
    this.appendOnly = appendOnly;
    this.currentRights = rights;
    this.deadlines = deadlines;
    this.retrier = retrier;
    this.wakes = wakes;
    this.rights = rights;
    this.reachability = new Reachability(client, (notice) => this.tell(notice));
  }

  /** The optional rights in the last check. */
  get rights(): FoundRights {
    return this.currentRights;
  }

  /** Wakes are enabled while the user has the rights to their channels. */
  set rights(found: FoundRights) {
    this.currentRights = found;
    this.wakes.enable(found.channelsMissing === undefined);
  }

  /** Calls the listener for every current and future notice, until the returned function is called. */
  onNotice(listener: NoticeListener): () => void {
    const own: NoticeListener = (notice) => orWarn('A listener of notices', () => listener(notice));
    this.noticeListeners.add(own);
    const { outage } = this.reachability;
    if (outage !== undefined) own(outage);
    for (const notice of this.currentNotices.values()) own(notice);
    return () => void this.noticeListeners.delete(own);
  }

  /** Replaces the current notices; listeners get the new ones. */
  notices(now: readonly EngineError[]): void {
    const before = this.currentNotices;
    this.currentNotices = new Map(now.map((notice) => [notice.code, notice]));
    for (const [code, notice] of this.currentNotices) if (!before.has(code)) this.tell(notice);
  }

  /** Calls all listeners, once. */
  tell(notice: EngineError): void {
    for (const listener of [...this.noticeListeners]) listener(notice);
  }

  /** Runs when the connection is closed. */
  onClose(fn: () => void): void {
    this.atClose.push(fn);
  }

  close(): void {
    for (const fn of this.atClose.splice(0)) fn();
    this.reachability.close();
    this.retrier.close();
    this.wakes.close();
    this.client.disconnect();
    this.deadlines.close();
  }
}

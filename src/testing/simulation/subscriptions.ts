/** The subscriptions of a process to wakes, which arrive late, twice or never, and which a lost connection ends. */
import type { Wake } from '../../engine/index.js';
import type { AnnouncementKind, AnnouncementListener, StreamNotice } from '../../backend/backend.js';
import type { ChannelMessage } from '../../backend/wake-listeners.js';
import type { ConnectionObserver } from './link.js';
import { broken, type WakeFault } from './faults.js';
import type { SimulatedProcess } from './process.js';
import type { Scheduler } from './scheduler.js';
import type { SimulatedServer } from './server.js';

type Listener = (heard: ChannelMessage) => void;

export interface Subscription {
  readonly lanes: readonly string[];
  readonly capabilities: readonly string[] | undefined;
  readonly listener: Listener;
  active: boolean;
  leave: () => void;
}

export interface SubscriptionsOptions {
  readonly scheduler: Scheduler;
  readonly process: SimulatedProcess;
  readonly server: SimulatedServer;
  /** Latency of one way, ms. */
  readonly latencyMs: number;
  readonly observer?: ConnectionObserver | undefined;
  readonly wakeFaultOf?: (() => WakeFault | undefined) | undefined;
  /** Makes a call to the server. */
  readonly ask: (name: string, partition: string, run: () => Promise<void>) => Promise<void>;
}

/** Says that anything may have changed, because the subscription was restored. */
const RESYNC: Wake = { kind: 'resync' };

export class SimulatedSubscriptions {
  readonly all = new Set<Subscription>();
  private isConnected = true;

  constructor(private readonly options: SubscriptionsOptions) {}

  /** Wakes are lost from now on, and new subscriptions fail. */
  disconnect(): void {
    this.isConnected = false;
  }

  /** Wakes arrive again; listeners are told that some may have been lost. */
  reconnect(): void {
    if (this.isConnected) return;
    this.isConnected = true;
    this.inject(RESYNC);
  }

  /** Delivers a wake that the server did not send. */
  inject(wake: Wake): void {
    for (const subscription of this.all) this.deliver(subscription, wake, this.options.latencyMs);
  }

  /** Calls every listener once more, so that those who wait for a wake look and are refused, and ends. */
  end(): void {
    const last = [...this.all];
    this.removeAll();
    for (const subscription of last) this.call(subscription, RESYNC);
  }

  removeAll(): void {
    for (const subscription of this.all) this.remove(subscription);
  }

  subscribe(
    lanes: readonly string[],
    listener: (wake: Wake) => void,
    capabilities?: readonly string[],
  ): Promise<() => void> {
    const { store } = this.options.server;
    return this.stand('onWake', { lanes, capabilities, listener: listener as Listener }, (hear) =>
      store.onWake(lanes, hear, capabilities),
    );
  }

  subscribeToAnnouncements(kind: AnnouncementKind, listener: AnnouncementListener): Promise<() => void> {
    const { store } = this.options.server;
    const heard = { lanes: [], capabilities: undefined, listener: listener as Listener };
    return this.stand('onAnnouncement', heard, (hear) => store.onAnnouncement(kind, hear));
  }

  subscribeToFrames(executionId: string, listener: (notice: StreamNotice) => void): Promise<() => void> {
    const { store } = this.options.server;
    const heard = { lanes: [], capabilities: undefined, listener: listener as Listener };
    return this.stand('onFrames', heard, (hear) => store.onFrames(executionId, hear));
  }

  private async stand(
    name: string,
    heard: Pick<Subscription, 'lanes' | 'capabilities' | 'listener'>,
    open: (hear: Listener) => Promise<() => void>,
  ): Promise<() => void> {
    const subscription: Subscription = { ...heard, active: true, leave: () => undefined };
    try {
      await this.options.ask(name, '', async () => {
        if (!this.isConnected) throw broken();
        const leave = await open((wake) => this.wake(subscription, wake));
        if (!subscription.active) return leave();
        subscription.leave = leave;
        this.all.add(subscription);
      });
    } catch (error) {
      this.remove(subscription);
      throw error;
    }
    return () => this.remove(subscription);
  }

  private remove(subscription: Subscription): void {
    subscription.active = false;
    subscription.leave();
    this.all.delete(subscription);
  }

  private wake(subscription: Subscription, wake: ChannelMessage): void {
    if (!this.isConnected) return;
    const fault = this.options.wakeFaultOf?.();
    if (fault?.kind === 'lost') return;
    const { latencyMs } = this.options;
    this.deliver(subscription, wake, latencyMs + (fault?.kind === 'late' ? fault.byMs : 0));
    if (fault?.kind === 'twice') this.deliver(subscription, wake, latencyMs);
  }

  private deliver(subscription: Subscription, wake: ChannelMessage, afterMs: number): void {
    const { scheduler, process: own } = this.options;
    scheduler.at(own, 'network', scheduler.now() + afterMs, () => {
      if (subscription.active && this.isConnected) this.call(subscription, wake);
    });
  }

  private call({ listener }: Subscription, wake: ChannelMessage): void {
    const { observer } = this.options;
    observer?.woken?.(wake);
    try {
      listener(wake);
    } catch (error) {
      observer?.listenerThrew?.(error);
    }
  }
}

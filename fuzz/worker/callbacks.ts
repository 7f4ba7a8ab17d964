/**
 * Callbacks: handlers create envelopes, and senders with nothing else deliver to them: before the handler waits, late,
 * twice, and to ended runs. A token is valid for its wait, while it lasts, and for nothing else.
 */
import { EngineError } from '../../src/engine/index.js';
import { InvalidDefinitionError, type SignalReceipt, type TaskContext, type Waitpoint } from '../../src/index.js';
import { addressIn } from '../../src/shared/envelope.js';
import { partitionKeyOf } from '../../model/ids.js';
import type { Input } from './input.js';
import type { Node } from './node.js';
import type { World } from './world.js';

/** Names of the signals of callbacks. */
export const CALLBACK = 'callback';
/** Refusals because the wait or the run is over. Any other refusal of a valid token is a defect. */
const OVER: ReadonlySet<string> = new Set(['waitpoint_closed', 'pending_waitpoint_expired', 'target_not_signalable']);

interface Envelope {
  readonly text: string;
  readonly executionId: string;
  readonly waitpointId: string;
}

/** A delivered signal, with all answers to its sender. */
interface Delivery {
  readonly envelope: Envelope;
  readonly number: number;
  /** When it was refused as too late, if it was. */
  refusedAt: number | undefined;
  accepted: boolean;
}

export class Callbacks {
  private readonly envelopes: Envelope[] = [];
  private readonly deliveries: Delivery[] = [];

  constructor(private readonly world: World) {}

  /** Gives every partition a signing key. */
  async begin(): Promise<void> {
    const { partitions } = this.world.program.setup;
    for (let index = 0; index < partitions; index++)
      await this.world.server.store.rotateWaitpointHmacSecret({
        ...{ partition: partitionKeyOf(index), newKid: 'k1', newSecret: new Uint8Array(32).fill(7), graceMs: 0 },
      });
  }

  /** Creates the waitpoint of a wait and publishes its envelope, unless the wait is over. */
  async made({ executionId, waitpoint }: TaskContext<Input>, timeoutMs: number): Promise<Waitpoint> {
    const made = await waitpoint(CALLBACK, { timeout: timeoutMs });
    try {
      const text = made.envelope().reveal();
      if (this.envelopes.every((known) => known.text !== text))
        this.envelopes.push({ text, executionId, waitpointId: addressIn(text).waitpointId });
    } catch (error) {
      if (!(error instanceof InvalidDefinitionError)) throw error;
    }
    return made;
  }

  /** Delivers to an envelope; `again`: a repetition of the previous delivery, if there was one. */
  deliver(node: Node, which: number, again: boolean): void {
    const { world, envelopes, deliveries } = this;
    const envelope = envelopes[which % Math.max(1, envelopes.length)];
    if (envelope === undefined) return;
    let delivery = again ? deliveries.findLast((each) => each.envelope === envelope) : undefined;
    if (delivery === undefined) {
      const { executionId } = envelope;
      const number = world.waits.sent.push({ name: CALLBACK, number: world.waits.sent.length, executionId }) - 1;
      deliveries.push((delivery = { envelope, number, refusedAt: undefined, accepted: false }));
    }
    const { number } = delivery;
    world.tell(node.name, `delivers ${number} to a callback of ${world.nameOf(envelope.executionId)}`);
    node.app.signals.deliver(envelope.text, number, { idempotencyKey: String(number) }).then(
      (receipt) => this.accepted(node, delivery, receipt),
      (error: unknown) => this.refused(node, delivery, error),
    );
  }

  private accepted(node: Node, delivery: Delivery, { effect }: SignalReceipt): void {
    delivery.accepted = true;
    this.world.tell(node.name, `delivery ${delivery.number} is ${effect}`);
  }

  private refused(node: Node, delivery: Delivery, error: unknown): void {
    // The result of the delivery is unknown.
    if (!(error instanceof EngineError) || error.retryable || error.code === 'backend_closed') return;
    this.world.tell(node.name, `delivery ${delivery.number} is refused: ${error.code}`);
    if (OVER.has(error.code)) delivery.refusedAt ??= this.world.scheduler.now();
    else this.world.broken('a token that was handed out is good', `delivery ${delivery.number}: ${error.code}`);
  }

  /** At the end: checks the deliveries to the callbacks of an execution. */
  async check(executionId: string): Promise<void> {
    const { world } = this;
    const own = this.deliveries.filter(({ envelope }) => envelope.executionId === executionId);
    if (own.length === 0) return;
    const { store } = world.server;
    const [{ waitpoints }, { signals }] = await Promise.all([
      store.readWaits({ executionId }),
      store.listSignals({ executionId }),
    ]);
    const closedAt = new Map(waitpoints.map((each) => [each.waitpointId, each.closedAt ?? Infinity]));
    for (const { signalName, waitpointId, acceptedAt } of signals)
      if (signalName === CALLBACK && acceptedAt > (closedAt.get(waitpointId) ?? -Infinity))
        world.broken('a token is good as long as its wait lasts', `${world.nameOf(executionId)} took one too late`);
    const numbers = new Set(signals.map(({ payload = new Uint8Array() }) => new TextDecoder().decode(payload)));
    for (const { envelope, number, accepted, refusedAt } of own) {
      if (accepted && !numbers.has(String(number)))
        world.broken('what a stranger was told is taken is there', `delivery ${number}`);
      if (refusedAt !== undefined && (closedAt.get(envelope.waitpointId) ?? -Infinity) > refusedAt)
        world.broken('a token is good as long as its wait lasts', `delivery ${number} was refused too early`);
    }
  }
}

/**
 * A scheduler outside of the deployment, and workers of its own: it grants waiting or lost work to them, and they claim
 * it by the grant, too late or never. They call the store directly, so each of their calls has an answer.
 */
import fc from 'fast-check';
import { claimFromGrant, EngineError, newId, type Event } from '../../src/engine/index.js';
import type { Grant } from '../../model/grant/grant.js';
import { partitionOfExecution } from '../../model/ids.js';
import type { ExecutionFacts } from './facts.js';
import type { Result } from './handlers.js';
import { CHILD, taskName } from './node.js';
import { short } from './story.js';
import type { World } from './world.js';

export interface GrantSetup {
  readonly ttlMs: number;
  /** When its worker claims; after the end of the grant, it is too late. */
  readonly claimAfterMs: number;
  readonly leaseTtlMs: number;
  readonly takesMs: number;
  /** What becomes of the work. `vanish`: its worker is heard of no more. */
  readonly end: 'complete' | 'fail' | 'release' | 'vanish';
}

export const grantSetup: fc.Arbitrary<GrantSetup> = fc.record({
  ttlMs: fc.constantFrom(1, 500, 5_000, 20_000),
  claimAfterMs: fc.constantFrom(0, 0, 1, 400, 6_000),
  leaseTtlMs: fc.constantFrom(3_000, 10_000),
  takesMs: fc.constantFrom(0, 5, 1_000, 8_000),
  end: fc.constantFrom('complete' as const, 'fail' as const, 'release' as const, 'vanish' as const),
});

/** The outside world is never blocked. */
const OUTSIDE = { blockedUntil: -Infinity, dead: false };
const WORKER_ID = 'outside';
/** The category of failures of these workers. */
const CATEGORY = 'granted';

/** A live grant, with its setup. */
interface Granted {
  readonly number: number;
  readonly grant: Grant;
  readonly setup: GrantSetup;
}

export class Grants {
  private issued = 0;
  /** By execution. */
  private readonly live = new Map<string, { readonly expiresAt: number; readonly instance: string }>();
  /** How the owners by grants ended their work, by lease. */
  private readonly ends = new Map<string, GrantSetup['end']>();

  constructor(private readonly world: World) {}

  /** Grants one of the executions that wait for an owner. Slots of quotas belong to claims of workers. */
  async issue(which: number, setup: GrantSetup): Promise<void> {
    const { facts, program } = this.world;
    const metered = program.setup.tasks.flatMap(({ quota }, task) => (quota === undefined ? [] : taskName(task)));
    const waiting = facts.open.filter(
      ({ situation, kind, run }) => situation === 'eligible' && kind !== CHILD && run >= 0 && !metered.includes(kind),
    );
    const execution = waiting[which % Math.max(1, waiting.length)];
    if (execution === undefined) return;
    const number = this.issued++;
    const grant = await this.grantOf(execution, number, setup);
    await this.follow(execution.executionId);
    if (grant === undefined) return;
    this.world.tell(
      'scheduler',
      `grants ${short(execution.executionId)} for ${setup.ttlMs} ms, to be claimed in ${setup.claimAfterMs} ms`,
    );
    this.later(setup.claimAfterMs, () => this.claim({ number, grant, setup }));
  }

  /** Called for every event. */
  logged(event: Event): void {
    if (event.type === 'grant_issued') {
      const { executionId, grantExpiresAt: expiresAt, grantWorkerInstanceId: instance } = event;
      this.live.set(executionId, { expiresAt, instance });
      return;
    }
    if (!('executionId' in event)) return;
    const live = this.live.get(event.executionId);
    if (live === undefined || event.type === 'execution_created') return;
    const isClaim = event.type === 'execution_claimed' || event.type === 'execution_resumed';
    if (isClaim && event.at <= live.expiresAt && event.workerInstanceId !== live.instance)
      this.world.broken('granted work goes to the worker that it was granted to', short(event.executionId));
    if (isClaim || ENDS.has(event.type)) this.live.delete(event.executionId);
  }

  /** What the owner by a grant did with its work; undefined for other leases. */
  endOf(leaseId: string | undefined): GrantSetup['end'] | undefined {
    return leaseId === undefined ? undefined : this.ends.get(leaseId);
  }

  /** Lost work takes another operation than work that waits. */
  private async grantOf(execution: ExecutionFacts, number: number, setup: GrantSetup): Promise<Grant | undefined> {
    const { store } = this.world.server;
    const args = {
      ...{ executionId: execution.executionId, laneId: execution.laneId, grantId: newId(), grantTtlMs: setup.ttlMs },
      ...{ workerId: WORKER_ID, workerInstanceId: instanceOf(number), workerCapabilities: [...execution.needs] },
    };
    const grant = (await accepted(store.issueClaimGrant(args))) ?? (await accepted(store.issueReclaimGrant(args)));
    return grant?.kind === 'granted' ? grant : undefined;
  }

  private async claim({ number, grant, setup }: Granted): Promise<void> {
    const { executionId } = grant;
    const { leaseTtlMs, takesMs, end } = setup;
    const isLive = this.live.has(executionId) && this.world.scheduler.now() <= grant.expiresAt;
    const token = { grant, workerId: WORKER_ID, workerInstanceId: instanceOf(number), leaseTtlMs };
    const owned = await accepted(claimFromGrant(this.world.server.store, token));
    if (owned !== undefined) this.ends.set(owned.execution.leaseId, end);
    await this.follow(executionId);
    this.world.tell('outside', `${owned === undefined ? 'cannot claim' : 'claims'} ${short(executionId)}`);
    if (isLive !== (owned !== undefined))
      this.world.broken(
        'a grant is good until it ends, and no longer',
        `${short(executionId)} was ${isLive ? '' : 'no longer '}granted, and was ${isLive ? 'not ' : ''}claimed`,
      );
    if (owned !== undefined && end !== 'vanish') this.later(takesMs, () => this.end(owned.handle, executionId, end));
  }

  /** Its lease may be over, and its work taken away. */
  private async end(handle: string, executionId: string, end: GrantSetup['end']): Promise<void> {
    const { store } = this.world.server;
    const run = this.world.facts.executions.get(executionId)?.run ?? -1;
    const resultPayload = new TextEncoder().encode(JSON.stringify({ run, call: -1 } satisfies Result));
    const failure = { failureReason: 'by grant', failureCategory: CATEGORY, failureClass: 'transient' } as const;
    if (end === 'complete') await accepted(store.completeExecution({ handle, resultPayload, resultEncoding: 'json' }));
    else if (end === 'fail') await accepted(store.failExecution({ handle, ...failure }));
    else await accepted(store.releaseLease({ handle }));
    await this.follow(executionId);
  }

  private follow(executionId: string): Promise<void> {
    return this.world.server.follow(partitionOfExecution(executionId));
  }

  private later(ms: number, act: () => Promise<void>): void {
    const { scheduler } = this.world;
    scheduler.at(OUTSIDE, 'network', scheduler.now() + ms, () => scheduler.hold(act()));
  }
}

/** What ends a grant that was not used. */
const ENDS: ReadonlySet<Event['type']> = new Set<Event['type']>([
  'grant_lapsed',
  'execution_cancelled',
  'execution_expired',
  'execution_failed',
]);

const instanceOf = (number: number): string => `${WORKER_ID}-${number}`;

/** The answer, or undefined for a refusal. */
async function accepted<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof EngineError) return undefined;
    throw error;
  }
}

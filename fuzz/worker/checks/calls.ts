/** Checks the calls of a process, and collects facts about leases from their answers. */
import { EngineError } from '../../../src/engine/index.js';
import { CALL_GROUPS, type ObservedCall } from '../../../src/testing/simulation/index.js';
import { claimedIn } from '../../claimed.js';
import type { RunFacts } from '../facts.js';
import type { Node } from '../node.js';
import { short } from '../story.js';
import type { World } from '../world.js';
import type { RenewalChecks } from './renewals.js';

/** Reported endings of one lease. */
export interface Endings {
  readonly names: Set<string>;
  sent: number;
  firstSentAt: number;
  last: 'under way' | 'accepted' | 'refused' | 'unknown';
  lastSettledAt: number;
  unknown: number;
  node: Node;
}

/** Calls of the app are retried for 10 s, ms; after a few faults the next pause alone can be as long. */
const CREATION_PATIENCE_MS = 9_000;
const CREATION_FAULTS = 3;

const ENDING_NAMES: ReadonlySet<string> = new Set(CALL_GROUPS.ending);

/** Answers to a suspension, or to a wait for children, that leave the attempt with its worker. */
const GOES_ON: ReadonlySet<string> = new Set(['not_waiting', 'already_satisfied']);

export class CallChecks {
  /** Leases from answered claims, which their workers therefore know, and the times of the answers. */
  readonly received = new Map<string, number>();
  readonly endings = new Map<string, Endings>();
  /** When the last call with frames of a lease was answered, or failed. */
  readonly framesSettledAt = new Map<string, number>();
  /** When the last call left that applies due work. */
  dueAppliedAt = -Infinity;

  constructor(
    private readonly world: World,
    private readonly renewals: RenewalChecks,
  ) {}

  callMade(node: Node, call: ObservedCall): void {
    for (const command of call.commands) {
      if (command.name === 'createExecution') {
        const { executionId, inputPayload } = command.args;
        if (inputPayload !== undefined && inputPayload.byteLength > 0)
          this.world.facts.creationSent(
            executionId,
            (JSON.parse(new TextDecoder().decode(inputPayload)) as { run: number }).run,
          );
      }
      if (command.name === 'renewLease') this.renewalSent(command as EndingCommand);
      if (ENDING_NAMES.has(command.name)) this.endingSent(node, command as EndingCommand);
    }
    if (call.names.includes('applyDue')) this.dueAppliedAt = this.world.scheduler.now();
  }

  private renewalSent({ args }: EndingCommand): void {
    if (this.endings.get(leaseOf(args))?.last === 'accepted')
      this.world.broken('a lease that is over is not renewed', short(args.executionId));
    this.renewals.sent(leaseOf(args));
  }

  private endingSent(node: Node, { name, args }: EndingCommand): void {
    const leaseId = leaseOf(args);
    const now = this.world.scheduler.now();
    const endings = this.endings.get(leaseId);
    // A handler also waits if its frames could not be stored; then its run fails instead of being suspended.
    if (name === 'suspendExecution' || name === 'moveToWaitingChildren' || args.failureCategory === 'stream_refused')
      this.suspends(leaseId);
    if (endings?.last === 'accepted')
      this.world.broken(
        'an ending is reported once',
        `${name} of ${short(args.executionId)} is sent although the answer to ${[...endings.names].join()} was there`,
      );
    if (endings === undefined) {
      this.endings.set(leaseId, {
        names: new Set([name]),
        sent: 1,
        firstSentAt: now,
        last: 'under way',
        lastSettledAt: 0,
        unknown: 0,
        node,
      });
    } else {
      endings.names.add(name);
      Object.assign(endings, { sent: endings.sent + 1, last: 'under way' });
    }
  }

  /** The handler does not know: the waiting call ends when the worker says so. */
  private suspends(leaseId: string): void {
    const call = this.world.facts.calls.find((each) => each.leaseId === leaseId);
    if (call === undefined || call.endedAt !== undefined || !call.waits) return;
    call.end = 'suspended';
    call.endedAt = this.world.scheduler.now();
    this.world.tell(call.process, `handler call ${call.number} waits`);
  }

  callSettled(node: Node, call: ObservedCall): void {
    call.commands.forEach((command, index) => {
      const answer = call.answers?.[index];
      const error = call.error ?? (answer?.ok === false ? answer.error : undefined);
      if (command.name === 'renewLease')
        this.renewalSettled(leaseOf((command as EndingCommand).args), call.madeAt, stateAfter(error));
      if (command.name === 'appendFrame')
        this.framesSettledAt.set(leaseOf((command as EndingCommand).args), this.world.scheduler.now());
      if (ENDING_NAMES.has(command.name)) {
        const endings = this.endings.get(leaseOf((command as EndingCommand).args));
        if (endings === undefined) return;
        // If there is nothing to wait for any more, the attempt continues, as after a refusal.
        const goesOn = answer?.ok === true && GOES_ON.has(answer.outcome.kind);
        endings.last = goesOn ? 'refused' : stateAfter(error);
        endings.lastSettledAt = this.world.scheduler.now();
        if (endings.last === 'unknown') endings.unknown++;
        if (endings.last === 'accepted') this.renewals.over(leaseOf((command as EndingCommand).args));
      }
      if (!answer?.ok) return;
      for (const { leaseId } of claimedIn(answer.outcome)) {
        this.received.set(leaseId, this.world.scheduler.now());
        this.renewals.claimed(node, leaseId, call.madeAt);
      }
    });
  }

  private renewalSettled(leaseId: string, requestedAt: number, answer: Endings['last']): void {
    if (answer === 'accepted') this.renewals.accepted(leaseId, requestedAt);
    else if (answer === 'refused') this.renewals.wasRefused(leaseId);
    else this.renewals.failed(leaseId);
  }

  /** A creation is retried for ten seconds before its caller gets the error. */
  creationFailed(node: Node, { number }: RunFacts, askedAt: number, error: unknown): void {
    const now = this.world.scheduler.now();
    const faults = node.troubles.filter(({ kind, to }) => kind === 'fault' && to >= askedAt).length;
    const gaveUp = error instanceof EngineError && error.retryable;
    if (gaveUp && faults <= CREATION_FAULTS && now - askedAt < CREATION_PATIENCE_MS)
      this.world.broken(
        'a creation whose fate is unknown is repeated',
        `run ${number} failed after ${now - askedAt} ms: ${error.code}`,
      );
  }
}

const stateAfter = (error: unknown): Endings['last'] => {
  if (error === undefined) return 'accepted';
  return error instanceof EngineError && !error.retryable ? 'refused' : 'unknown';
};

interface EndingCommand {
  readonly name: string;
  readonly args: {
    readonly executionId: string;
    readonly fence?: { readonly leaseId: string } | undefined;
    readonly leaseId?: string | undefined;
    readonly failureCategory?: string | undefined;
  };
}

const leaseOf = ({ fence, leaseId }: EndingCommand['args']): string => fence?.leaseId ?? leaseId ?? '';

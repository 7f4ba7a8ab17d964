/** Faults that are planned for the next calls of a kind, and for the next wakes. */
import type { Fault, WakeFault } from './faults.js';

/** Groups of calls that a fault can be aimed at. */
export const CALL_GROUPS = {
  any: [],
  create: ['createExecution'],
  claim: ['claimForWorker'],
  renew: ['renewLease'],
  ending: [
    'completeExecution',
    'failExecution',
    'delayExecution',
    'suspendExecution',
    'moveToWaitingChildren',
    'releaseLease',
  ],
  progress: ['updateProgress'],
  cancel: ['cancelExecution'],
  due: ['applyDue'],
  begin: ['beginAttempt'],
  step: ['recordStep', 'readSteps'],
  input: ['readExecutionContext'],
  admission: ['checkAdmission', 'releaseAdmission', 'voidAdmission', 'settleAdmissions'],
  children: ['spawnChildren', 'listEdges'],
  flow: ['createFlow', 'cancelFlowHeader', 'describeFlow'],
  wait: ['readWaits', 'listSignals', 'createPendingWaitpoint'],
  signal: ['signalExecution', 'deliverSignal', 'deliverApprovalSignal'],
  frame: ['appendFrame'],
  read: ['readExecutionState', 'readExecutionInfo', 'getExecutionResult', 'readLog', 'serverTime'],
  subscribe: ['onWake', 'onAnnouncement', 'onFrames'],
} as const satisfies Record<string, readonly string[]>;
export type CallGroup = keyof typeof CALL_GROUPS;

/** A fault for the next `count` calls of a group. */
export interface FaultRule {
  readonly on: CallGroup;
  readonly fault: Fault;
  readonly count: number;
}

/** The planned faults, in the order in which they were planned. */
export class FaultPlan {
  private calls: { readonly rule: FaultRule; left: number }[] = [];
  private wakes: { readonly fault: WakeFault; left: number }[] = [];

  add(rule: FaultRule): void {
    this.calls.push({ rule, left: rule.count });
  }

  addForWakes(fault: WakeFault, count: number): void {
    this.wakes.push({ fault, left: count });
  }

  /** Everything works from now on. */
  clear(): void {
    this.calls = [];
    this.wakes = [];
  }

  /** The planned fault that a call with these names meets, if any. */
  takeForCall(names: readonly string[]): Fault | undefined {
    const entry = this.calls.find(({ rule: { on } }) => on === 'any' || names.some((name) => isIn(on, name)));
    if (entry === undefined) return undefined;
    if (--entry.left <= 0) this.calls = this.calls.filter((each) => each !== entry);
    return entry.rule.fault;
  }

  takeForWake(): WakeFault | undefined {
    const [entry] = this.wakes;
    if (entry === undefined) return undefined;
    if (--entry.left <= 0) this.wakes.shift();
    return entry.fault;
  }
}

const isIn = (group: CallGroup, name: string): boolean => (CALL_GROUPS[group] as readonly string[]).includes(name);

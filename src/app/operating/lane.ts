/** A lane as operators see it: paused, drained and resumed for all processes of the deployment. */
import type { Lane, LaneState } from '../../../model/lane/lane.js';
import type { Backend } from '../../backend.js';
import { changeLane, readLaneEverywhere } from '../../engine/change-lane.js';
import { knownOnly } from '../../shared/known-only.js';
import { laneIdOf } from '../../shared/lane-names.js';

/** Who asks for the change of a lane, and why; both stand in the log. */
export interface LaneRequest {
  readonly reason?: string | undefined;
  /** Default `operator`. */
  readonly requestedBy?: string | undefined;
}

export interface AppLaneState {
  /** `mixed` while a change was made in some partitions only: repeat it. */
  readonly state: LaneState | 'mixed';
  /** When it got this state; absent when it was always open. */
  readonly since: Date | undefined;
  readonly requestedBy: string | undefined;
  readonly reason: string | undefined;
}

export interface AppLane {
  /** As users write it. */
  readonly name: string;
  /**
   * Gives no more work: what is running goes on, new runs are taken and wait. Repeating it changes nothing.
   * @throws EngineError when it was not made in all partitions; its detail says where it was
   */
  pause(request?: LaneRequest): Promise<void>;
  /**
   * Takes no more runs: starting one is refused with `lane_draining`. What the lane has is given to workers, its retries
   * included.
   * @throws EngineError as `pause`
   */
  drain(request?: LaneRequest): Promise<void>;
  /** Takes and gives work again; workers are woken. @throws EngineError as `pause` */
  resume(request?: LaneRequest): Promise<void>;
  /** How it stands with the lane. One that never had work is open. */
  state(): Promise<AppLaneState>;
}

interface LaneSource {
  backend(): Promise<Backend>;
  call<T>(command: () => Promise<T>): Promise<T>;
}

const REQUEST = { reason: true, requestedBy: true } as const;

export class LaneOfApp implements AppLane {
  private readonly laneId: string;

  constructor(
    readonly name: string,
    private readonly source: LaneSource,
  ) {
    this.laneId = laneIdOf(name, 'app.lane()', 'name');
  }

  pause(request: LaneRequest = {}): Promise<void> {
    return this.change('paused', request);
  }

  drain(request: LaneRequest = {}): Promise<void> {
    return this.change('draining', request);
  }

  resume(request: LaneRequest = {}): Promise<void> {
    return this.change('open', request);
  }

  async state(): Promise<AppLaneState> {
    const { source, laneId } = this;
    const backend = await source.backend();
    const lanes = await readLaneEverywhere(backend, laneId, (read) => source.call(read));
    const last = lanes.reduce((a, b) => ((b.stateChangedAt ?? 0) > (a.stateChangedAt ?? 0) ? b : a));
    const { laneState, stateChangedAt, stateChangedBy, stateReason }: Lane = last;
    return {
      state: lanes.every((lane) => lane.laneState === laneState) ? laneState : 'mixed',
      since: stateChangedAt === undefined ? undefined : new Date(stateChangedAt),
      requestedBy: stateChangedBy || undefined,
      reason: stateReason || undefined,
    };
  }

  private async change(to: LaneState, request: LaneRequest): Promise<void> {
    const { source, laneId } = this;
    knownOnly<LaneRequest>(`The lane "${this.name}"`, request, REQUEST);
    const { reason, requestedBy } = request;
    await changeLane(await source.backend(), { laneId, to, reason, requestedBy }, (command) => source.call(command));
  }
}

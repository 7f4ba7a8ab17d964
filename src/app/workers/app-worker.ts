/** The worker of an app: it names lanes as users do, and reports when it is drained. */
import { laneNameOf } from '../../shared/lane-names.js';
import type { Worker, WorkerEvents } from '../../worker/api.js';
import type { Registrar } from './registrar.js';
import { TaskWorker, type WorkerDependencies } from '../../worker/worker.js';

export class AppWorker extends TaskWorker {
  private left: Promise<void> | undefined;

  constructor(
    dependencies: WorkerDependencies,
    private readonly registrar: Registrar,
    private readonly onDrained: (worker: AppWorker) => void,
  ) {
    super(dependencies);
  }

  override on<Type extends keyof WorkerEvents>(type: Type, listener: (event: WorkerEvents[Type]) => void): () => void {
    if (type !== 'claimed' || typeof listener !== 'function') return super.on(type, listener);
    return super.on('claimed', (event) =>
      listener({ ...event, laneId: laneNameOf(event.laneId) } as WorkerEvents[Type]),
    );
  }

  override drain(options?: Parameters<Worker['drain']>[0]): Promise<void> {
    const drained = super.drain(options);
    this.left ??= this.leave(drained);
    // The wait for its handlers can be shortened by a further call; then it leaves.
    return Promise.all([drained, this.left]).then(() => undefined);
  }

  /** It takes no more work and is registered as draining; once it is drained, its record is removed. */
  private async leave(drained: Promise<void>): Promise<void> {
    if (this.stats().running > 0) this.registrar.news(this.workerInstanceId);
    await drained.catch(() => undefined);
    await this.registrar.remove(this.workerInstanceId);
    this.onDrained(this);
  }
}

/** The worker of an app: it speaks of lanes as users name them, and says when it is drained. */
import { laneNameOf } from '../shared/lane-names.js';
import type { Worker, WorkerEvents } from '../worker/api.js';
import { TaskWorker, type WorkerDependencies } from '../worker/worker.js';

export class AppWorker extends TaskWorker {
  constructor(
    dependencies: WorkerDependencies,
    private readonly onDrained: (worker: AppWorker) => void,
  ) {
    super(dependencies);
  }

  override on<Type extends keyof WorkerEvents>(type: Type, listener: (event: WorkerEvents[Type]) => void): () => void {
    if (type !== 'claimed') return super.on(type, listener);
    return super.on('claimed', (event) =>
      listener({ ...event, laneId: laneNameOf(event.laneId) } as WorkerEvents[Type]),
    );
  }

  override drain(options?: Parameters<Worker['drain']>[0]): Promise<void> {
    const drained = super.drain(options);
    drained.then(
      () => this.onDrained(this),
      () => this.onDrained(this),
    );
    return drained;
  }
}

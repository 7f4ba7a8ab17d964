/** A process that measures one engine, so that no engine runs on code that another has warmed or spoiled. */
import { measureLatency, measureResult, serve } from './latency.js';
import type { ChildTask } from './in-child.js';
import { measureLifecycles } from './lifecycle.js';

async function carryOut(task: ChildTask): Promise<unknown> {
  switch (task.kind) {
    case 'lifecycles':
      return measureLifecycles(task);
    case 'latency':
      return measureLatency(task);
    case 'result':
      return measureResult(task);
    case 'serve':
      return serve(task);
    case 'embedded':
      return (await import('./embedded.js')).measureEmbedded(task);
    case 'population':
      // Loads this engine, which the others need not wait for.
      return (await import('./population.js')).measurePopulation(task);
  }
}

process.once('message', (task) => {
  carryOut(task as ChildTask).then(
    (value) => {
      // The process ends when the answer is out, whatever an engine has left open.
      process.send?.({ value }, () => process.exit(0));
    },
    (error: unknown) => {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      process.send?.({ error: text }, () => process.exit(1));
    },
  );
});

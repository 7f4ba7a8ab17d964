import { fork, type ChildProcess } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EmbeddedResult, EmbeddedTask } from './embedded.js';
import type { LatencyResult, LatencyTask, ResultTask, ServeTask } from './latency.js';
import type { LifecycleResult, LifecycleTask } from './lifecycle.js';
import type { PopulationResult, PopulationTask } from './population.js';

/** What each task gives. */
interface Results {
  readonly lifecycles: { readonly task: LifecycleTask; readonly result: LifecycleResult[] };
  readonly latency: { readonly task: LatencyTask; readonly result: LatencyResult[] };
  readonly result: { readonly task: ResultTask; readonly result: LatencyResult[] };
  readonly serve: { readonly task: ServeTask; readonly result: undefined };
  readonly embedded: { readonly task: EmbeddedTask; readonly result: EmbeddedResult };
  readonly population: { readonly task: PopulationTask; readonly result: PopulationResult };
}

type TaskKind = keyof Results;

/** What a child process is asked to do. */
export type ChildTask = { [Kind in TaskKind]: { readonly kind: Kind } & Results[Kind]['task'] }[TaskKind];

/** Compiled or not like this file. */
const CHILD = fileURLToPath(new URL(`./child${extname(import.meta.url)}`, import.meta.url));

/** Starts a process and gives it its task; it ends with this one. */
export function startChild<Kind extends TaskKind>(
  kind: Kind,
  task: Results[Kind]['task'],
  execArgv: readonly string[] = [],
): ChildProcess {
  const child = fork(CHILD, { execArgv: [...process.execArgv, ...execArgv] });
  child.send({ kind, ...task });
  return child;
}

/** Makes one measurement in a process of its own. @throws Error with the output of the process if it failed. */
export async function inChild<Kind extends TaskKind>(
  kind: Kind,
  task: Results[Kind]['task'],
  execArgv: readonly string[] = [],
): Promise<Results[Kind]['result']> {
  const child = startChild(kind, task, execArgv);
  return new Promise((resolve, reject) => {
    child.once('message', (answer: { value: Results[Kind]['result'] } | { error: string }) => {
      if ('error' in answer) reject(new Error(answer.error));
      else resolve(answer.value);
    });
    child.once('exit', (code, signalName) => {
      // After an answer this changes nothing.
      reject(new Error(`The measuring process ended with ${code ?? signalName} and gave no answer.`));
    });
  });
}

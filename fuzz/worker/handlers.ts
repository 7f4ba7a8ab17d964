/** Handlers that follow a script and record their actions. */
import type { Cancel } from '../../src/engine/index.js';
import {
  child,
  ChildrenFailedError,
  delay,
  NonRetryableError,
  RetryableError,
  StepError,
  type TaskContext,
} from '../../src/index.js';
import { handlerTold } from './checks/reasons.js';
import type { HandlerCall } from './facts.js';
import { NO_RUN, type Input } from './input.js';
import type { Node } from './node.js';
import type { ChildrenSetup, Step, StepsSetup } from './program.js';
import { isWait } from './waits.js';
import type { World } from './world.js';

/** What a handler does at the end of its script. */
const LAST: Step = {
  takesMs: 0,
  end: 'return',
  heeds: true,
  stretches: 0,
  stretchShare: 0,
  progress: 'none',
};
/** What a child does. */
const lastOf = ({ child: asked }: Input): Step =>
  asked === undefined ? LAST : { ...LAST, takesMs: asked.takesMs, end: asked.fails ? 'throw_for_good' : 'return' };
/** Longest duration of a handler while a run ends, ms. */
const HURRIED_MS = 500;
const RETRY_AFTER_MS = 2_000;
const DELAY_MS = 3_000;

/** The result of a completed run: the call of the handler that produced it. */
export interface Result {
  readonly run: number;
  readonly call: number;
}

/** A handler of this process. */
export function playing(world: World, node: Node): (context: TaskContext<Input>) => Promise<unknown> {
  return async (context) => {
    const { executionId, input } = context;
    const run = world.facts.runs[input.run];
    const step = run?.setup.script[world.facts.callsOf(executionId).length] ?? lastOf(input);
    const call = begin(world, node, context, step);
    let isRefused = false;
    /** What the handler asks the engine for: the abort can refuse it. */
    const asked = async <Value>(promise: Promise<Value>): Promise<Value> => {
      try {
        return await promise;
      } catch (error) {
        isRefused = context.signal.aborted && error === context.signal.reason;
        throw error;
      }
    };
    try {
      // The same steps in every call, as real handlers have.
      await asked(pass(world, node, context, call, run?.setup.script[0]?.steps));
      await asked(spawn(world, node, context, call, run?.setup.script[0]?.children));
      await asked(world.waits.again(call, context));
      await work(
        node,
        context,
        call,
        world.hurries ? { ...step, stretches: 0, takesMs: Math.min(step.takesMs, HURRIED_MS) } : step,
      );
      const pause = (): Promise<void> =>
        new Promise((resolve) => node.process.after(Math.min(step.takesMs, HURRIED_MS), resolve));
      if (isWait(step.end)) await asked(world.waits.further(call, context, step.end, pause));
      const value = await endOf(step, call, context);
      call.end = step.end === 'delay' ? 'delayed' : 'returned';
      return value;
    } catch (error) {
      call.end = context.signal.aborted && error === context.signal.reason ? 'heeded' : 'threw';
      call.reason = error instanceof Error ? error.message : String(error);
      // As a `catch` with a value in the place of what failed: it must never be the result of the run.
      if (isRefused && step.swallows) return { run: input.run, call: call.number } satisfies Result;
      throw error;
    } finally {
      call.endedAt = world.scheduler.now();
      world.tell(node.name, `handler call ${call.number} ${call.end}`);
    }
  };
}

function begin(world: World, node: Node, context: TaskContext<Input>, step: Step): HandlerCall {
  const { executionId, fence } = context;
  let toldAt: number | undefined;
  let toldCode: string | undefined;
  const looks = step.heeds || step.end === 'hang';
  if (looks) {
    const { signal } = context;
    if (signal.aborted) toldAt = world.scheduler.now();
    signal.addEventListener('abort', () => {
      toldAt = world.scheduler.now();
      const code = String((signal.reason as { code?: string }).code);
      toldCode = code;
      world.tell(node.name, () => `handler call ${call.number} is told: ${code}`);
      handlerTold(world, node, call, code);
    });
  }
  const call: HandlerCall = {
    number: world.facts.calls.length,
    ...{ executionId, leaseId: fence.leaseId, token: fence.token, process: node.name },
    startedAt: world.scheduler.now(),
    looks,
    toldAt: () => toldAt,
    toldCode: () => toldCode,
    waits: false,
    endedAt: undefined,
    end: undefined,
    reason: undefined,
    frames: 0,
    passedFailures: [],
  };
  world.tell(
    node.name,
    () =>
      `handler call ${call.number} for ${world.nameOf(executionId)} (${step.takesMs} ms, then ${step.end}${step.heeds ? '' : ', heeds nothing'})`,
  );
  world.checks.handlers.called(call);
  const lease = world.facts.leases.get(fence.leaseId);
  if (context.attempt - 1 !== lease?.attemptIndex || context.resumes !== lease.resumes)
    world.broken(
      'a handler is told the number of its attempt',
      `call ${call.number} is told attempt ${context.attempt}, resumed ${context.resumes} times`,
    );
  world.flows.given(call, context.input.given);
  world.facts.calls.push(call);
  return call;
}

/** Takes so long, or until the signal aborts. @throws the reason of the signal */
function lasting(node: Node, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = node.process.after(ms, resolve);
    signal?.addEventListener('abort', () => {
      cancel();
      reject(signal.reason as Error);
    });
  });
}

/** Runs the steps of a script, and checks their calls and values. */
async function pass(
  world: World,
  node: Node,
  { step, executionId, signal }: TaskContext<Input>,
  call: HandlerCall,
  setup: StepsSetup | undefined,
): Promise<void> {
  if (setup === undefined) return;
  const { count, takesMs, together, fails } = setup;
  const one = async (index: number): Promise<void> => {
    const name = `s${index}`;
    const fn = async (): Promise<number> => {
      world.checks.handlers.stepCalled(call, name);
      world.tell(node.name, () => `step ${name} of handler call ${call.number}`);
      if (takesMs > 0) await lasting(node, takesMs, call.looks ? signal : undefined);
      if (fails && index === 0) throw new Error(`${call.number}`);
      return call.number;
    };
    const given = await step(name, fn).catch((error: Error) => {
      if (!(error instanceof StepError)) throw error;
      call.passedFailures.push(name);
      return error.message;
    });
    world.checks.handlers.stepGave(call, name, `${executionId}/${name}`, String(given));
  };
  const indexes = Array.from({ length: count }, (_, index) => index);
  if (together) await Promise.all(indexes.map(one));
  else for (const index of indexes) await one(index);
}

/** How long a handler waits beside its children, ms. */
const BESIDE_MS = 1_500;

/** Creates children and waits for them, and for something else beside them; the results are the same in every call. */
async function spawn(
  world: World,
  node: Node,
  { children, sleep, executionId }: TaskContext<Input>,
  call: HandlerCall,
  setup: ChildrenSetup | undefined,
): Promise<void> {
  if (setup === undefined) return;
  const { count, needs, takesMs, fails, beside } = setup;
  const group = (size: number): Promise<unknown> => {
    const made = Array.from({ length: size }, (_, place) =>
      child(node.child, { run: NO_RUN, child: { takesMs, fails: fails && place === 0 } }),
    );
    return (needs === 'all' ? children.all(made) : children.any(made)).catch((error: Error) => {
      if (!(error instanceof ChildrenFailedError)) throw error;
      return error.message;
    });
  };
  const all = (): Promise<unknown> => {
    if (beside === 'group') return Promise.all([group(count), group(1)]);
    if (beside === 'time') return Promise.all([group(count), sleep(BESIDE_MS, { name: 'beside children' })]);
    return group(count);
  };
  call.waits = true;
  const results = await all();
  call.waits = false;
  world.checks.handlers.stepGave(call, 'children', `${executionId}/children`, JSON.stringify(results));
}

/** Writes frames that name the call of the handler and their own number. */
function say(context: TaskContext<Input>, call: HandlerCall, until: number): void {
  while (call.frames < until) void context.stream.text(`${call.number}.${call.frames++}`);
}

async function work(node: Node, context: TaskContext<Input>, call: HandlerCall, step: Step): Promise<void> {
  const { frames = 0 } = step;
  say(context, call, Math.ceil(frames / 2));
  for (let stretch = 0; stretch < step.stretches; stretch++) {
    await node.block(Math.round(step.stretchShare * node.setup.leaseTtlMs));
    await node.process.turn();
  }
  if (step.progress === 'awaited') await context.progress(50, 'half');
  if (step.progress === 'in_passing') void context.progress(50, 'half');
  if (step.takesMs > 0) await sleeping(step, context, node);
  if (step.end === 'hang') await heeding(step, context, node.untilReleased());
  say(context, call, frames);
}

async function sleeping(step: Step, context: TaskContext<Input>, { process }: Node): Promise<void> {
  let cancel: Cancel = () => undefined;
  try {
    await heeding(step, context, new Promise((resolve) => (cancel = process.after(step.takesMs, resolve))));
  } finally {
    cancel();
  }
}

/** Waits, or stops when its signal aborts and the handler reacts to it. */
async function heeding(step: Step, { signal }: TaskContext<Input>, waited: Promise<void>): Promise<void> {
  if (!step.heeds) return waited;
  signal.throwIfAborted();
  let stop = (): void => undefined;
  const stopped = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop);
  });
  try {
    await Promise.race([waited, stopped]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function endOf(step: Step, call: HandlerCall, { input }: TaskContext<Input>): Promise<unknown> {
  switch (step.end) {
    case 'throw':
      throw new Error(`call ${call.number}`);
    case 'throw_for_good':
      throw new NonRetryableError(`call ${call.number}`);
    case 'retry_after':
      throw new RetryableError(`call ${call.number}`, { retryAfter: RETRY_AFTER_MS });
    case 'delay':
      return delay(DELAY_MS);
    case 'return':
    case 'sleep':
    case 'wait':
    case 'all':
    case 'any':
    case 'count':
    case 'approval':
    case 'callback':
    case 'hang':
      return { run: input.run, call: call.number } satisfies Result;
  }
}

/** Whatever a user gives wrong is refused by the app, before the engine sees it, in the words of the option. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  any,
  app,
  AppError,
  child,
  count,
  delay,
  memory,
  type App,
  type Task,
  type TaskContext,
} from '../../src/index.js';

/** Values that stand in the place of a text, a number, a list or an object most often by mistake. */
const WRONG: Readonly<Record<string, unknown>> = {
  null: null,
  number: 5,
  negative: -1,
  fraction: 0.5,
  NaN: NaN,
  bigint: 10n,
  'boxed bigint': Object(10n),
  empty: '',
  space: ' ',
  'upper case': 'A.B',
  word: 'x',
  long: 'x'.repeat(10_000),
  control: 'a\u0000b',
  'half a character': '\ud800',
  punctuation: 'a{b}:c,d',
  'too early': new Date(-1),
  'no date': new Date(NaN),
  list: [1],
  'list of words': ['a b'],
  'long list': Array.from({ length: 300 }, (_, i) => `c${i}`),
  object: { a: 'b' },
  'object of numbers': { 'a.b': 5 },
  'object of long texts': { 'a.b': 'x'.repeat(10_000) },
  'large object': Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`a.b${i}`, 'x'])),
  Map: new Map([['a.b', 'c']]),
  function: () => 1,
  symbol: Symbol('s'),
  true: true,
};

/** Names of arguments and words of the validation that only the engine's own users know. */
const ENGINE_WORDS =
  /invalid_input|Invalid (input|key|option)|expected|executionKind|executionDeadlineAt|laneId|sourceIdentity|workerInstanceId|newPriority|policy|signalName|dedupKey|scopeType|payload:/;

let a: App;
let inner: Task<undefined, number>;
let id: string;
beforeEach(async () => {
  a = app({ backend: memory() });
  inner = a.task('inner', () => 1) as never;
  id = (await a.task('waits', () => 1).run(undefined, { delay: '30d' })).id;
});
afterEach(() => a.close());

const first = async (rows: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of rows) break;
};

type Call = (wrong: never) => unknown;
let tasks = 0;
const definition = (options: object) => a.task(`t${tasks++}`, options, () => 1);
const waiting = () => a.get(id);

/** Every option that a user writes outside of handlers. */
const CALLS: Readonly<Record<string, Call>> = {
  'app.namespace': (wrong) => app({ backend: memory(), namespace: wrong }).close(),
  'app.creatorIdentity': (wrong) => app({ backend: memory(), creatorIdentity: wrong }).close(),
  'task.name': (wrong) => void a.task(wrong, () => 1),
  'task.lane': (wrong) => definition({ lane: wrong }).run(),
  'task.needs': (wrong) => definition({ needs: wrong }).run(),
  'task.priority': (wrong) => definition({ priority: wrong }).run(),
  'task.retention': (wrong) => definition({ retention: wrong }).run(),
  'task.retry': (wrong) => definition({ retry: wrong }).run(),
  'task.retry.failures': (wrong) => definition({ retry: { failures: wrong } }).run(),
  'task.retry.backoff': (wrong) => definition({ retry: { backoff: wrong } }).run(),
  'task.timeout.attempt': (wrong) => definition({ timeout: { attempt: wrong } }).run(),
  'task.timeout.total': (wrong) => definition({ timeout: { total: wrong } }).run(),
  'task.quota': (wrong) => definition({ quota: wrong }).run(),
  'task.quota.name': (wrong) => definition({ quota: { name: wrong, concurrency: 1 } }).run(),
  'task.quota.concurrency': (wrong) => definition({ quota: { concurrency: wrong } }).run(),
  'task.quota.per': (wrong) => definition({ quota: { concurrency: 1, per: () => wrong } }).run(),
  'task.budget': (wrong) => definition({ budget: wrong }).run(),
  'task.budget as a function': (wrong) => definition({ budget: () => wrong }).run(),
  'run.input': (wrong) => definition({}).run(wrong),
  'run.id': (wrong) => definition({}).run(undefined, { id: wrong }),
  'run.idempotencyKey': (wrong) => definition({}).run(undefined, { idempotencyKey: wrong }),
  'run.idempotencyWindow': (wrong) => definition({}).run(undefined, { id: 'x', idempotencyWindow: wrong }),
  'run.delay': (wrong) => definition({}).run(undefined, { delay: wrong }),
  'run.priority': (wrong) => definition({}).run(undefined, { priority: wrong }),
  'run.tags': (wrong) => definition({}).run(undefined, { tags: wrong }),
  'run.deadline': (wrong) => definition({}).run(undefined, { deadline: wrong }),
  'flow.input': (wrong) => a.flow(`f${tasks++}`, (f, _input: unknown) => f.run(definition({}))).run(wrong),
  'flow.id': (wrong) => a.flow(`f${tasks++}`, (f) => f.run(definition({}))).run(undefined as never, { id: wrong }),
  'flow.tags': (wrong) => a.flow(`f${tasks++}`, (f) => f.run(definition({}))).run(undefined as never, { tags: wrong }),
  'node.input': (wrong) => a.flow(`f${tasks++}`, (f) => f.run(definition({}), wrong)).run(),
  'node.tags': (wrong) => a.flow(`f${tasks++}`, (f) => f.run(definition({}), undefined, { tags: wrong })).run(),
  'node.priority': (wrong) => a.flow(`f${tasks++}`, (f) => f.run(definition({}), undefined, { priority: wrong })).run(),
  'signal.name': (wrong) => waiting().signal(wrong as string),
  'signal.payload': (wrong) => waiting().signal('s', wrong),
  'signal.from': (wrong) => waiting().signal('s', 1, { from: wrong }),
  'signal.idempotencyKey': (wrong) => waiting().signal('s', 1, { idempotencyKey: wrong }),
  'approve.by': (wrong) => waiting().approve('a', { by: wrong }),
  'approve.note': (wrong) => waiting().approve('a', { by: 'ann', note: wrong }),
  'hold.reason': (wrong) => waiting().hold({ reason: wrong }),
  'hold.requestedBy': (wrong) => waiting().hold({ requestedBy: wrong }),
  'setPriority.requestedBy': (wrong) => waiting().setPriority(1, { requestedBy: wrong }),
  setPriority: (wrong) => waiting().setPriority(wrong),
  setTags: (wrong) => waiting().setTags(wrong),
  'stream.from': async (wrong) => first((await waiting()).stream({ from: wrong, signal: AbortSignal.timeout(20) })),
  'summary.attempt': (wrong) => waiting().summary({ attempt: wrong }),
  'runs.kind': (wrong) => first(a.runs({ kind: wrong })),
  'runs.task': (wrong) => first(a.runs({ task: wrong })),
  'runs.lane': (wrong) => first(a.runs({ lane: wrong })),
  'runs.tag': (wrong) => first(a.runs({ tag: wrong })),
  'runs.failure': (wrong) => first(a.runs({ failure: wrong })),
  'runs.cancelledBy': (wrong) => first(a.runs({ cancelledBy: wrong })),
  'runs.held': (wrong) => first(a.runs({ held: wrong })),
  'runs.worker': (wrong) => first(a.runs({ worker: wrong })),
  'runs.after': (wrong) => first(a.runs({ after: wrong })),
  'runs by priority, tag': (wrong) => first(a.runs({ order: 'priority', lane: 'l', tag: wrong })),
  'workers.capabilities': (wrong) => first(a.workers({ capabilities: wrong })),
  'workers.kind': (wrong) => first(a.workers({ kind: wrong })),
  'markWorkerDead.id': (wrong) => a.markWorkerDead(wrong),
  'markWorkerDead.requestedBy': (wrong) => a.markWorkerDead('w', { requestedBy: wrong }),
  'lane.name': (wrong) => a.lane(wrong).pause(),
  'lane.requestedBy': (wrong) => a.lane('l').resume({ requestedBy: wrong }),
  'budget.name': (wrong) => a.budget(wrong, {}).ready(),
  'budget.limits': (wrong) => a.budget(`b${tasks++}`, { limits: wrong }).ready(),
  'budget.limits.hard': (wrong) => a.budget(`b${tasks++}`, { limits: { tokens: { hard: wrong } } }).ready(),
  'budget.resetEvery': (wrong) => a.budget(`b${tasks++}`, { resetEvery: wrong }).ready(),
  'budget.scope': (wrong) => a.budget(`b${tasks++}`, { scope: wrong }).ready(),
  'budget.scope.type': (wrong) => a.budget(`b${tasks++}`, { scope: { type: wrong, id: 'x' } }).ready(),
  'budget.scope.id': (wrong) => a.budget(`b${tasks++}`, { scope: { type: 'x', id: wrong } }).ready(),
  'budget.report': (wrong) => a.budget('reported', {}).report({ tokens: wrong }),
  'budget.report.key': (wrong) => a.budget('reported', {}).report({ tokens: 1 }, { key: wrong }),
  'budget.setLimits': (wrong) => a.budget('reported', {}).setLimits(wrong),
  'bills.scope': (wrong) => first(a.bills({ scope: wrong })),
  'worker.capabilities': async (wrong) =>
    (await a.worker({ capabilities: wrong, lanes: ['none'], engine: false })).close(),
  'worker.workerId': async (wrong) => (await a.worker({ workerId: wrong, lanes: ['none'], engine: false })).close(),
  'worker.lanes': async (wrong) => (await a.worker({ lanes: wrong, engine: false })).close(),
  'deliver.from': (wrong) => a.signals.deliver('x', 1, { from: wrong }),
  'rotateKey.kid': (wrong) => a.signals.rotateKey({ kid: wrong, secret: new Uint8Array(32) }),
};

/** Refused by the state of what is named, or for an envelope that is none: the engine's own errors, told in the docs. */
const OF_STATE = new Set([
  'invalid_token',
  'run_not_found',
  'payload_too_large',
  'rotation_conflict',
  'wait_timeout',
  'children_failed',
]);

const faultOf = (error: unknown, wrong: unknown): string | undefined => {
  const { code, message, hint } = error as { code: string; message: string; hint: string };
  if (OF_STATE.has(code)) return undefined;
  if (!(error instanceof AppError)) return `${code}: ${message}`;
  if (ENGINE_WORDS.test(message)) return `words of the engine: ${message}`;
  if (message.length > 600) return `${message.length} characters: ${message.slice(0, 100)}`;
  if (hint === '' || message.trim().endsWith(':')) return `says nothing: ${message}`;
  return typeof wrong === 'string' && wrong.length > 1_000 && message.includes(wrong) ? 'quotes all of it' : undefined;
};

describe('outside of handlers,', () => {
  it.each(Object.entries(CALLS))('%s', async (_, call) => {
    const faults: string[] = [];
    let refused = 0;
    for (const [name, wrong] of Object.entries(WRONG)) {
      const error = await Promise.resolve()
        .then(() => call(wrong as never))
        .then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
      if (error !== undefined) refused++;
      const fault = error === undefined ? undefined : faultOf(error, wrong);
      if (fault !== undefined) faults.push(`${name}: ${fault}`);
    }
    expect(faults).toEqual([]);
    expect(refused).toBeGreaterThan(0);
  });
});

type CallInside = (context: TaskContext, wrong: never, index: number) => unknown;

/** A wait that is not refused ends at once. */
const timeout = 1;

/** Every argument that a handler writes. */
const CALLS_INSIDE: Readonly<Record<string, CallInside>> = {
  'progress, percent': ({ progress }, wrong) => progress(wrong),
  'progress, message': ({ progress }, wrong) => progress(1, wrong),
  'stream.text': ({ stream }, wrong) => stream.text(wrong),
  'stream.json': ({ stream }, wrong) => stream.json(wrong),
  'stream.write': ({ stream }, wrong) => stream.write(wrong),
  'stream.summary': ({ stream }, wrong) => stream.summary(wrong),
  'stream.summary, a member': ({ stream }, wrong) => stream.summary({ member: wrong }),
  'stream, type': ({ stream }, wrong) => stream.text('x', { type: wrong }),
  'stream, correlationId': ({ stream }, wrong) => stream.text('x', { correlationId: wrong }),
  'stream, bestEffort': ({ stream }, wrong) => stream.text('x', { bestEffort: wrong }),
  'stream, bestEffort.ttl': ({ stream }, wrong) => stream.text('x', { bestEffort: { ttl: wrong } }),
  'step, name': ({ step }, wrong) => step(wrong, () => 1),
  'step, value': ({ step }, wrong, index) => step(`s${index}`, () => wrong),
  'step, function': ({ step }, wrong) => step('s', wrong),
  'step, timeout': ({ step }, wrong, index) => step(`s${index}`, () => 1, { timeout: wrong }),
  'step, retry': ({ step }, wrong, index) => step(`s${index}`, () => 1, { retry: wrong }),
  'sleep, name': ({ sleep }, wrong) => sleep(1, { name: wrong }),
  sleepUntil: ({ sleepUntil }, wrong) => sleepUntil(wrong),
  waitFor: ({ waitFor }, wrong) => waitFor(wrong as string, { timeout, onTimeout: 'value' }),
  'waitFor, timeout': ({ waitFor }, wrong) => waitFor('s', { timeout: wrong, onTimeout: 'value' }),
  'waitFor, name': ({ waitFor }, wrong) => waitFor('s', { name: wrong, timeout, onTimeout: 'value' }),
  'waitFor any': ({ waitFor }, wrong) => waitFor(any('s', wrong), { timeout, onTimeout: 'value' }),
  'waitFor count': ({ waitFor }, wrong) => waitFor(count(wrong, 's'), { timeout, onTimeout: 'value' }),
  'waitFor by hand': ({ waitFor }, wrong) =>
    waitFor({ type: 'approval', n: wrong, name: 's' }, { timeout, onTimeout: 'value' }),
  'approval, name': ({ approval }, wrong) => approval(wrong, { timeout }),
  'approval, count': ({ approval }, wrong) => approval('a', { timeout, approvals: wrong }),
  'waitpoint, name': ({ waitpoint }, wrong) => waitpoint(wrong),
  'waitpoint, timeout': ({ waitpoint }, wrong, index) => waitpoint(`w${index}`, { timeout: wrong }),
  'callback, baseUrl': async ({ waitpoint }, wrong) => (await waitpoint('w')).callback({ baseUrl: wrong }),
  'children, name': ({ children }, wrong) => children.all([child(inner)], { name: wrong }),
  'children, a list': ({ children }, wrong) => children.all(wrong),
  'child, tags': ({ children }, wrong) => children.all([child(inner, undefined, { tags: wrong })]),
  'child, deadline': ({ children }, wrong) => children.all([child(inner, undefined, { deadline: wrong })]),
  'budget, itself': ({ budget }, wrong) => budget(wrong).report({ tokens: 1 }),
  'budget, amounts': ({ budget }, wrong) => budget(a.budget('in', {})).report(wrong),
  'budget, an amount': ({ budget }, wrong) => budget(a.budget('in', {})).report({ tokens: wrong }),
  'budget, key': ({ budget }, wrong) => budget(a.budget('in', {})).report({ tokens: 1 }, { key: wrong }),
  'budget, ttl': ({ budget }, wrong) => budget(a.budget('in', {})).reserve({ tokens: 1 }, { ttl: wrong }),
  delay: (_, wrong) => delay(wrong),
};

describe('inside of handlers,', () => {
  it.each(Object.entries(CALLS_INSIDE))('%s', async (_, call) => {
    await a.signals.rotateKey({ kid: 'k', secret: new Uint8Array(32) });
    const faults = new Map<string, string | undefined>();
    const task = a.task('calls', async (context) => {
      for (const [index, [name, wrong]] of Object.entries(WRONG).entries())
        try {
          await call(context, wrong as never, index);
        } catch (error) {
          faults.set(name, faultOf(error, wrong));
        }
    });
    await a.worker();
    await task.run().result({ timeout: '20s' });
    expect([...faults].flatMap(([name, fault]) => (fault === undefined ? [] : [`${name}: ${fault}`]))).toEqual([]);
    expect(faults.size).toBeGreaterThan(0);
  });
});

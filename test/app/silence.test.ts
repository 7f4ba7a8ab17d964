/** Nothing fails without a word: what nobody looks at is told once, and the log gets it in a form that it prints. */
import { beforeEach, describe, expect, it } from 'vitest';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { format } from 'node:util';
import { app, EngineError, memory, type Backend, type Logger } from '../../src/index.js';
import { guarded, prefixed } from '../../src/shared/logger.js';
import { testApp } from '../../src/testing/test-app.js';
import { collectingLog, rejectionOf } from './support.js';

/** Runs `test/app/unseen.ts` and answers the codes of its unhandled rejections, by the name of what it started. */
async function unseen(): Promise<Record<string, string[]>> {
  const child = fork(fileURLToPath(new URL('unseen.ts', import.meta.url)), { execArgv: ['--import', 'tsx'] });
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as Record<string, string[]>));
    child.once('exit', (code) => reject(new Error(`it ended with ${code} and told nothing`)));
  });
}

describe('a creation that fails', () => {
  it('is one unhandled rejection when none of its promises is awaited, and none when one is', async () => {
    const told = await unseen();
    expect(told).toEqual({
      'input that the schema refuses': ['invalid_task_input'],
      'an input that is no JSON': ['invalid_task_input'],
      'an unknown option': ['invalid_definition'],
      'an id that is too long': ['invalid_definition'],
      'a priority that is no number': ['invalid_definition'],
      'many, one of them wrong': ['invalid_task_input'],
      'a store that refuses': ['server_refused'],
      'awaited itself': [],
      'its id awaited': [],
      'its result awaited': [],
      'awaited twice': [],
      'a look at a run, of which nothing is awaited': [],
      'after the end of the app': ['app_closed'],
    });
  });
});

describe('pino', () => {
  /** What pino's own interface does: an object first, then the message; what follows a message is dropped. */
  class Pino {
    readonly written: { level: string; object: object; message: string }[] = [];
    readonly debug = this.at('debug');
    readonly info = this.at('info');
    readonly warn = this.at('warn');
    readonly error = this.at('error');
    private at(level: string) {
      return (first: unknown, second?: unknown): void => {
        const [object, message] = typeof first === 'object' ? [first as object, second] : [{}, first];
        this.written.push({ level, object, message: message as string });
      };
    }
    bindings(): object {
      return {};
    }
    child(): Pino {
      return this;
    }
  }

  it('gets an error under `err`, objects as they are, and the rest as details', () => {
    const pino = new Pino();
    const log = prefixed(guarded(pino), '[t 1]');
    const error = new Error('x');
    log.warn('failed', error);
    log.error('two', error, new TypeError('y'));
    log.info('plain');
    log.debug('more', { executionId: 'e' }, error, 5);
    expect(pino.written).toEqual([
      { level: 'warn', object: { err: error }, message: '[t 1] failed' },
      { level: 'error', object: { err: error, details: [new TypeError('y')] }, message: '[t 1] two' },
      { level: 'info', object: {}, message: '[t 1] plain' },
      { level: 'debug', object: { executionId: 'e', err: error, details: [5] }, message: '[t 1] more' },
    ]);
  });

  it('gets the error of a failed task from the app', async () => {
    const pino = new Pino();
    await using a = app({ backend: memory(), log: pino as unknown as Logger });
    const boom = new Error('boom');
    const task = a.task('t', () => {
      throw boom;
    });
    await a.worker();
    await rejectionOf(task.run().result());
    expect(pino.written.map(({ object }) => object)).toContainEqual({ err: boom });
  });
});

it('a failure that the logger cannot print is logged in words', async () => {
  const lines: string[] = [];
  const write = (...line: unknown[]): void => void lines.push(format(...line));
  await using a = app({ backend: memory(), log: { debug: write, info: write, warn: write, error: write } });
  const task = a.task('odd', () => {
    throw Object.defineProperty(new Error('the card is expired'), 'name', {
      get: () => {
        throw new Error('no name');
      },
    });
  });
  await a.worker();
  await rejectionOf(task.run().result());
  expect(lines.join()).toContain('Task "odd" failed in attempt 1');
  expect(lines.join()).toContain('the card is expired');
});

it('a logger that throws affects no run', async () => {
  const fails = (): never => {
    throw new Error('the disk is full');
  };
  await using a = app({ backend: memory(), log: { debug: fails, info: fails, warn: fails, error: fails } });
  const task = a.task('t', ({ log }) => {
    log.info('working');
    throw new Error('boom');
  });
  await a.worker();
  expect(await rejectionOf(task.run().result())).toMatchObject({ code: 'run_failed', reason: 'boom' });
});

describe('the warning that no worker takes what is awaited', () => {
  it('is given once per task after some seconds, with what explain() says, and not for work of a paused lane', async () => {
    const { log, lines } = collectingLog();
    const t = testApp({ log });
    const [lonely, paused, quick] = ['lonely', 'paused', 'quick'].map((name) => t.app.task(name, () => name));
    await t.app.lane('paused').pause();
    const results = [lonely, lonely, paused].map((task) => task?.run(undefined).result());
    await t.advance('4s');
    void quick?.run(undefined).result();
    expect(lines).toEqual([]);
    await t.advance('3s');
    expect(lines).toEqual([expect.stringContaining('none is registered. Call app.worker()')]);
    expect(lines[0]).toContain('warn A run of task "lonely" has not started. It waits for a worker of lane lonely');
    await t.app.worker();
    await t.advance('1m');
    await t.app.lane('paused').resume();
    await t.advance('1m');
    expect(await Promise.all(results)).toEqual(['lonely', 'lonely', 'paused']);
    expect(lines.filter((line) => line.includes('has not started'))).toHaveLength(1);
    await t.close();
  });
});

describe('the warning about tasks that wait for each other', () => {
  const { log, lines } = collectingLog();
  beforeEach(() => lines.splice(0));

  function family(log: Logger | undefined, options: { parentSlots: number; childLane?: string }) {
    const t = testApp({ log });
    const child = t.app.task('child', { lane: options.childLane ?? 'family' }, () => 'done');
    const parent = t.app.task('parent', { lane: 'family' }, async () => `child is ${await child.run().result()}`);
    return { t, child, parent };
  }

  it('names tasks that wait for a slot, once', async () => {
    const { t, parent } = family(log, { parentSlots: 1 });
    await t.app.worker({ slots: 1 });
    const run = parent.run(undefined);
    await t.advance('1m');
    expect(await run.state()).toBe('active');
    const warnings = lines.filter((line) => line.includes('has not started'));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('A run of task "child" has not started');
    expect(warnings[0]).toContain('taken by task "parent". If that is what waits for its result, neither will end');
    await t.close();
  });

  it('is not given when the main program waits for slow handlers', async () => {
    const t = testApp({ log });
    let finish = (): void => undefined;
    const long = t.app.task('long', { lane: 'one' }, () => new Promise<void>((resolve) => (finish = resolve)));
    const next = t.app.task('next', { lane: 'one' }, () => 2);
    await t.app.worker({ slots: 1 });
    const first = long.run(undefined).result();
    await t.advance('1s');
    const results = Promise.all([first, next.run(undefined).result()]);
    await t.advance('30s');
    expect(lines.join()).not.toContain('seems to wait');
    expect(lines.join()).toContain('If it only takes long, the run starts when it has ended.');
    finish();
    await t.advance('1s');
    expect(await results).toEqual([undefined, 2]);
    await t.close();
  });

  it('names them also after other handlers have waited, and hold no slot', async () => {
    const { t, parent } = family(log, { parentSlots: 1 });
    const nap = t.app.task('nap', { lane: 'family' }, ({ sleep }) => sleep('1s'));
    await t.app.worker({ slots: 1 });
    await nap.runMany([undefined, undefined, undefined]);
    await t.advance('1m');
    parent.run(undefined);
    await t.advance('1m');
    expect(lines.filter((line) => line.includes('has not started'))).toHaveLength(1);
    await t.close();
  });

  it('does not name a handler that waits', async () => {
    const t = testApp({ log });
    const nap = t.app.task('nap', { lane: 'one' }, ({ sleep }) => sleep('2m'));
    const next = t.app.task('next', { lane: 'one' }, () => 2);
    await t.app.worker({ slots: 1 });
    const slept = nap.run(undefined).result();
    await t.advance('1s');
    await t.app.lane('one').pause();
    const waiting = next.run(undefined).result();
    await t.advance('1m');
    expect(lines).toEqual([]);
    await t.app.lane('one').resume();
    await t.advance('2m');
    expect(await Promise.all([slept, waiting])).toEqual([undefined, 2]);
    await t.close();
  });

  it('is not given when there is a slot for the other task', async () => {
    const { t, parent } = family(log, { parentSlots: 1 });
    await t.app.worker({ slots: 2 });
    const run = parent.run(undefined);
    await t.advance('1m');
    expect(await run.result()).toBe('child is done');
    expect(lines).toEqual([]);
    await t.close();
  });

  it('is not given when the slot is taken by independent work', async () => {
    const t = testApp({ log });
    let finish = (): void => undefined;
    const long = t.app.task('long', { lane: 'one' }, () => new Promise<void>((resolve) => (finish = resolve)));
    const next = t.app.task('next', { lane: 'one' }, () => 2);
    await t.app.worker({ slots: 1 });
    const waiting = next.run(undefined, { delay: '1h' }).result();
    void long.run(undefined);
    await t.advance('30s');
    finish();
    await t.advance('2h');
    expect(await waiting).toBe(2);
    expect(lines).toEqual([]);
    await t.close();
  });
});

describe('errors', () => {
  it('have names and codes of their own that no minifier changes', async () => {
    const module = (await import('../../src/shared/errors.js')) as Record<string, unknown>;
    const source = await import('node:fs').then(({ readFileSync }) =>
      readFileSync(new URL('../../src/shared/errors.ts', import.meta.url), 'utf8'),
    );
    const isError = (member: unknown): boolean => typeof member === 'function' && member.prototype instanceof Error;
    const classes = Object.keys(module).filter(
      (name) => isError(module[name]) && !['AppError', 'RunError'].includes(name),
    );
    expect(classes.length).toBeGreaterThan(5);
    for (const name of classes) expect(source).toContain(`override readonly name = '${name}'`);
    expect(source).not.toContain('new.target');
  });

  it('of a backend that is closed under an app reach the waiting callers', async () => {
    const backend: Backend = memory();
    const a = app({ backend });
    const run = await a.task('t', () => 1).run();
    await backend.close();
    expect(await rejectionOf(run.result())).toBeInstanceOf(EngineError);
    await a.close();
  });
});

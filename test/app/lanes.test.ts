/** Lanes may be called what users like; two names never share a lane, and users see the names that they gave. */
import { readFileSync, readdirSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { laneId } from '../../model/core/fields.js';
import { app, memory, type App } from '../../src/index.js';
import { laneIdOf, laneNameOf } from '../../src/shared/lane-names.js';
import { memoryApp } from './support.js';

const NAMES = [
  'default',
  'mail:send',
  'mail%3Asend',
  'mail%3asend',
  'mail%253Asend',
  'mail send',
  'a,b',
  '{a}',
  '%',
  '%%',
  '%E4',
  'ä',
  'Überweisung',
  '送信',
  '😀',
  '\u0000',
  '\uFEFFbom',
  'a:b:c',
  'x'.repeat(64),
];

describe('names of lanes', () => {
  it('become lane ids that the engine accepts, one to one, and are decoded again', () => {
    const ids = NAMES.map((name) => laneIdOf(name, 'Task "t"'));
    expect(ids.filter((id) => !laneId.safeParse(id).success)).toEqual([]);
    expect(new Set(ids).size).toBe(NAMES.length);
    expect(ids.map(laneNameOf)).toEqual(NAMES);
    expect(laneIdOf('mail:send', 'Task "t"')).toBe('mail%3Asend');
    expect(laneIdOf('plain.name-1', 'Task "t"')).toBe('plain.name-1');
  });

  it('are shown unchanged where another program chose the id', () => {
    for (const id of ['100%', '%3a', '%41', '%E4', '%ZZ', 'a%2']) expect(laneNameOf(id)).toBe(id);
  });

  it('are escaped in one source file only', () => {
    const folder = new URL('../../src/', import.meta.url);
    const users = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .filter((file) => /decodeURIComponent\(.*[lL]ane|%3A/.test(readFileSync(new URL(file, folder), 'utf8')));
    expect(users).toEqual(['shared/lane-names.ts']);
  });
});

describe('a task whose name has a colon', () => {
  let a: App;
  afterEach(() => a.close());

  it('has a lane of its own, shown by its name', async () => {
    a = memoryApp();
    const tasks = ['mail:send', 'mail%3Asend', 'default', 'mail,send'].map((name) => a.task(name, () => name));
    expect(tasks.map(({ lane }) => lane)).toEqual(['mail:send', 'mail%3Asend', 'default', 'mail,send']);
    const [send] = tasks;
    const run = await send?.run();
    expect(await run?.info()).toMatchObject({
      lane: 'mail:send',
      task: 'mail:send',
      execution: { laneId: 'mail%3Asend' },
    });
    // A worker of the others does not get it.
    const others = await a.worker({ tasks: tasks.slice(1) });
    expect(await tasks[1]?.run().result()).toBe('mail%3Asend');
    expect(await run?.state()).toBe('waiting');
    await others.close();
    const seen: string[] = [];
    const worker = await a.worker({ lanes: ['mail:send'] });
    worker.on('claimed', ({ laneId }) => seen.push(laneId));
    expect(await send?.run().result()).toBe('mail:send');
    expect(new Set(seen)).toEqual(new Set(['mail:send']));
  });

  it('shares a lane by name with other tasks', async () => {
    const backend = memory();
    a = app({ backend });
    const one = a.task('a:1', { lane: 'team:{a}' }, () => 1);
    const two = a.task('a:2', { lane: 'team:{a}' }, () => 2);
    await Promise.all([one.run(), two.run()]);
    expect((await backend.listLanes()).lanes).toEqual(['team%3A%7Ba%7D']);
    await a.worker({ lanes: ['team:{a}'] });
    expect(await Promise.all([one.run().result(), two.run().result()])).toEqual([1, 2]);
  });
});

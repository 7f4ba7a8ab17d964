/** What must not be announced and what must be: each fault of a backend is a complaint. */
import { expect, test } from 'vitest';
import { SpecMachine } from '../../model/specification/machine.js';
import type { AnyDecision, Command } from '../../model/machine.js';
import { parseCommand } from '../../src/backend/boundary.js';
import type { ChannelMessage } from '../../src/backend/wake-listeners.js';
import { seededUuids } from '../../src/testing/index.js';
import { WakeJudge, type Complaint } from './judge.js';
import { standingOf } from './standing.js';

const START_AT = 1_700_000_000_000;
const PARTITION = '{fp:0}';
const uuid = seededUuids('wakes');

/** A partition, and a judge that sees what one backend announces there. */
class Watched {
  private readonly spec = new SpecMachine({ retentionMs: 1_000, indexedTags: [] });
  private readonly judge = new WakeJudge();

  /** Runs a command, and judges what was heard. */
  step(command: Command, heard: readonly ChannelMessage[], at = START_AT): Complaint | undefined {
    const before = standingOf(this.spec.partition.state);
    const logged = this.spec.partition.log.length;
    const decisions: AnyDecision[] = [this.spec.run(parseCommand(command.name, command.args, 'memory'), at)];
    const after = standingOf(this.spec.partition.state);
    const isLogged = this.spec.partition.log.length > logged;
    return this.judge.judge(
      'one',
      { partition: PARTITION, before, after, decisions, isLogged, isOneCommand: true },
      heard,
    );
  }
}

const creation = (more: object = {}): Command => ({
  name: 'createExecution',
  args: {
    executionId: `${PARTITION}:${uuid()}`,
    namespace: 'n',
    laneId: 'l',
    executionKind: 'k',
    creatorIdentity: 'c',
    ...more,
  },
});
const work = (priority: number): ChannelMessage => ({
  kind: 'work',
  laneId: 'l',
  partition: PARTITION,
  executionKind: 'k',
  priority,
  requiredCapabilities: [],
});
const timer = (at: number): ChannelMessage => ({ kind: 'timer', partition: PARTITION, at });
const due = (): Command => ({ name: 'applyDue', args: { partition: PARTITION } });
const pause: Command = { name: 'pauseLane', args: { partition: PARTITION, laneId: 'l', reason: '' } };
const resume: Command = { name: 'resumeLane', args: { partition: PARTITION, laneId: 'l', reason: '' } };

test('work in an empty queue, and work that becomes the first, is announced', () => {
  const world = new Watched();
  expect(world.step(creation(), [work(0)])).toBeUndefined();
  expect(world.step(creation(), [])).toBeUndefined();
  expect(world.step(creation({ priority: 7 }), [work(7)])).toBeUndefined();
  expect(new Watched().step(creation(), [])).toMatchObject({ what: 'the announced work' });
  expect(world.step(creation({ priority: 9 }), [])).toMatchObject({ what: 'the announced work' });
  expect(world.step(creation({ priority: 10 }), [work(3)])).toMatchObject({ what: 'the announced work' });
});

test('a paused lane announces nothing, and announces its work when it is resumed', () => {
  const world = new Watched();
  world.step(creation(), [work(0)]);
  expect(world.step(pause, [work(0)])).toMatchObject({ what: 'the announced work' });
  expect(world.step(creation({ priority: 5 }), [])).toBeUndefined();
  expect(world.step(resume, [])).toMatchObject({ what: 'the announced work' });
  world.step(pause, []);
  expect(world.step(resume, [work(5)])).toBeUndefined();
});

test('a timer that is due before any loop looks is announced', () => {
  const world = new Watched();
  expect(world.step(creation({ delayUntil: START_AT + 500 }), [timer(START_AT + 500)])).toBeUndefined();
  expect(world.step(creation({ delayUntil: START_AT + 900 }), [])).toBeUndefined();
  expect(world.step(creation({ delayUntil: START_AT + 100 }), [])).toMatchObject({ what: 'the announced timers' });
});

test('a loop that was told the next due time does not look earlier', () => {
  const world = new Watched();
  world.step(creation({ delayUntil: START_AT + 500 }), [timer(START_AT + 500)]);
  world.step(due(), [work(0)], START_AT + 500);
  expect(world.step(creation({ delayUntil: START_AT + 600 }), [], START_AT + 500)).toMatchObject({
    what: 'the announced timers',
  });
});

test('a loop that hears of a timer during its pass looks for it, whatever the pass answers', () => {
  const world = new Watched();
  world.step(creation({ delayUntil: START_AT + 500 }), [timer(START_AT + 500)]);
  world.step(due(), [work(0), timer(START_AT + 500)], START_AT + 500);
  expect(world.step(creation({ delayUntil: START_AT + 600 }), [], START_AT + 500)).toBeUndefined();
});

test('a step without events announces nothing', () => {
  expect(new Watched().step(due(), [timer(START_AT)])).toMatchObject({
    what: 'the announcements of a step without events',
  });
});

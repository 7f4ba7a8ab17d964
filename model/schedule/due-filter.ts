/**
 * A loop with a filter applies the due work of some executions, and passes over that of all others (ruling 45). A call
 * looks at a bounded number of timers, so it answers the position behind which the next one continues. The due work of
 * other kinds of entities has neither a namespace nor tags: every loop applies it.
 */
import { z } from 'zod';
import * as field from '../core/fields.js';
import { present } from '../core/present.js';
import { withWireForm } from '../core/wire-form.js';
import type { Event } from '../events.js';
import type { ReadonlyExecution } from '../execution/facts.js';
import { executionIdIn, memberOf, partitionOfExecution } from '../ids.js';
import { matches, tagMembersOf, type ListFilter } from '../listing/list.js';
import { cursorOf, positionCursor, type Position } from '../listing/position.js';
import type { DueEntity, TimedKind } from './due.js';
import { nextTimerAt } from './timers.js';

type DueFilter = Pick<ListFilter, 'namespace' | 'laneId' | 'executionKind' | 'tags'>;

/** Absent members match everything. */
export const dueFilter = withWireForm(
  z
    .strictObject({
      namespace: field.namespace.optional(),
      laneId: field.laneId.optional(),
      executionKind: field.executionKind.optional(),
      /** Executions that have all of these tags, with these values. */
      tags: field.tags.default({}),
    })
    .refine(
      ({ tags, ...names }) => Object.keys(tags).length > 0 || Object.values(names).some((name) => name !== undefined),
      { error: 'must have a namespace, a lane, a kind or a tag' },
    ),
  {
    encode(value) {
      if (value === undefined) return [''];
      const { namespace = '', laneId = '', executionKind = '', tags } = value as DueFilter;
      return [[namespace, laneId, executionKind, ...tagMembersOf(tags)].join('\t')];
    },
  },
);

/** A position among the due timers, as an earlier call of the same filter answered it. */
export const duePosition = withWireForm(positionCursor.clone(), {
  encode(value) {
    const [score, id] = (value as string | undefined)?.split(/:(.*)/) ?? [];
    return [id === undefined ? '' : `${present(score)}:${memberOf(id)}`];
  },
});

/** The position that a partition answered. */
export function positionIn(partition: string, text: string): string | undefined {
  const [score, id] = text.split(':');
  return id === undefined ? undefined : cursorOf({ score: Number(score), executionId: executionIdIn(partition, id) });
}

/** Whether a position is of a partition. */
export const isPositionIn = (partition: string, position: string): boolean =>
  partitionOfExecution(position.slice(position.indexOf(':') + 1)) === partition;

const positionOf = (execution: ReadonlyExecution): Position => ({
  score: present(nextTimerAt(execution)),
  executionId: execution.executionId,
});

/** The due work of one entity. */
export interface DueStep {
  readonly entity: DueEntity;
  readonly events: readonly Event[];
  /** Units of work that it costs. */
  readonly units: number;
}

/** What one pass does with the timers that it looks at. */
export interface Pass {
  /** What it applies, in order. */
  readonly steps: readonly DueStep[];
  /** The last execution that it passed over. */
  readonly passedOver: Position | undefined;
  /** Whether it leaves some of these timers to the next pass. */
  readonly isCut: boolean;
}

/** Kinds of which a pass handles only one entity, because it can change what else is due: see `flow/due.ts`. */
const ALONE: ReadonlySet<string> = new Set<TimedKind>(['flow', 'walk']);

/** The part of these timers that one pass handles with so many units, of a loop that has this filter or none. */
export function ofOnePass(
  listed: readonly DueEntity[],
  filter: DueFilter | undefined,
  units: number,
  stepOf: (entity: DueEntity) => DueStep,
): Pass {
  const steps: DueStep[] = [];
  let passedOver: Position | undefined;
  let left = units;
  for (const it of listed) {
    if (filter !== undefined && it.kind === 'execution' && !matches(filter, it.entity)) {
      passedOver = positionOf(it.entity);
      continue;
    }
    const isFirst = steps.length === 0;
    const isAlone = ALONE.has(it.kind);
    if (isAlone && !isFirst) return { steps, passedOver, isCut: true };
    const step = stepOf(it);
    left -= step.units;
    if (left < 0 && !isFirst) return { steps, passedOver, isCut: true };
    steps.push(step);
    if (isAlone) return { steps, passedOver, isCut: true };
  }
  return { steps, passedOver, isCut: false };
}

/** What a client and a library agree on, operation by operation: it changes with what must be given and what is answered. */
import { expect, test } from 'vitest';
import type { z } from 'zod';
import { SHAPES } from '../../lua/parameters.js';
import { describeOperation, outcomeNumber, SIGNATURES, unlike } from '../../lua/signatures.js';
import { operationNamed, type OperationName } from '../../model/machine.js';

const OWN = ['pause_lane:abc123:0:3', 'claim:abc123:7:*'];

test("a library matches a client if it has the client's operations in the same form", () => {
  expect(unlike(OWN, OWN)).toEqual([]);
  expect(unlike([...OWN, 'further:000000:1:1'], OWN)).toEqual([]);
  expect(unlike(['pause_lane:abc123:0:4', 'claim:abc123:8:*'], OWN)).toEqual([]);
});

test.each([
  [['claim:abc123:7:*'], ['pause_lane']],
  [['pause_lane:abc124:0:3', 'claim:abc123:7:*'], ['pause_lane']],
  [['pause_lane:abc123:0:2', 'claim:abc123:7:*'], ['pause_lane']],
  [['pause_lane:abc123:0:3', 'claim:abc123:7:4'], ['claim']],
  [[], ['pause_lane', 'claim']],
])('unlike: %j', (found, names) => expect(unlike(found, OWN)).toEqual(names));

test('optional arguments at the end are not part of the signature, and required ones are', () => {
  expect(describeOperation('pauseLane')).toBe(
    '|laneId:text reason:text requestedBy:text|already_satisfied{reason:literal} lane_paused{previousState:text}',
  );
  // Between those that must be given, a place counts, whatever stands in it.
  expect(describeOperation('createExecution')).toContain('naming[namespace:text,');
  expect(describeOperation('createExecution')).not.toContain('idempotencyKey');
});

test('kinds of outcomes have numbers of their own', () => {
  expect(outcomeNumber('claimed')).not.toBe(outcomeNumber('created'));
  expect(Object.values(SIGNATURES).every((text) => /^[a-z_]+:[0-9a-f]{6}:\d+:(\d+|\*)$/.test(text))).toBe(true);
});

test('shared arguments contain no line break, because they travel as one text, line by line', () => {
  const taking = (Object.keys(SHAPES) as OperationName[]).flatMap((name) => {
    const { shape } = operationNamed(name).args as unknown as z.ZodObject;
    const fields = SHAPES[name].shared.flatMap((part) => (part.kind === 'joined' ? part.fields : [part.field]));
    return fields
      .filter((field) => ['a\nb', ['a\nb']].some((value) => (shape[field.name] as z.ZodType).safeParse(value).success))
      .map((field) => `${name}.${field.name}`);
  });
  expect(taking).toEqual([]);
});

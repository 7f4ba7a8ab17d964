/** Events and entities as texts of a file: written and read alike, by the schema that the file carries. */
import { describe, expect, test } from 'vitest';
import { isKnown, type Event } from '../../model/events.js';
import { readEntity, readEvent, writeEntity, writeEvent } from '../../src/embedded/records.js';
import { codecsOf, eventCodec, OWN_CODECS, SCHEMA, type Schema } from '../../src/embedded/schema.js';
import { ENTITY_KINDS } from '../../model/state.js';
import { testEngine } from '../../src/testing/index.js';

const PARTITION = '{fp:0}';
const UNIT = '\x1f';
const ODD = 'tab\tline\nunit\x1fback\\slash \\n ü 日本 \u{1f600}';

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** An execution with much about it, and the log that led there. */
async function world() {
  const engine = await testEngine();
  const executionId = engine.executionId();
  await engine.backend.createExecution({
    executionId,
    namespace: 'shop',
    laneId: 'bulk',
    executionKind: 'kind',
    creatorIdentity: 'test',
    idempotencyKey: 'a key',
    tags: { 'a.b': ODD },
    policy: { retryPolicy: { maxRetries: 3 } },
  });
  const claimed = await engine.backend.claimForWorker({
    partition: PARTITION,
    laneId: 'bulk',
    workerId: 'w',
    workerInstanceId: 'w-1',
    claims: [{ leaseId: engine.uuid(), attemptId: engine.uuid() }],
  });
  if (claimed.kind !== 'claimed') throw new Error('nothing was claimed');
  const [{ leaseId, leaseEpoch, attemptId }] = claimed.executions as [never];
  const fence = { leaseId, leaseEpoch, attemptId };
  await engine.backend.updateProgress({ executionId, ...fence, progressPct: 5, progressMessage: ODD });
  await engine.backend.failExecution({
    executionId,
    fence,
    failureReason: ODD,
    failureCategory: 'odd',
    jitter: 0.5,
  });
  const { events } = await engine.backend.readLog({ partition: PARTITION });
  const { tables } = await engine.canonicalState(PARTITION);
  return { events: events.filter(isKnown).map(({ event }) => event), tables };
}

const readBack = (event: Event, schema: Schema = SCHEMA): unknown => {
  const parts = writeEvent(event).split(UNIT);
  return plain(readEvent(eventCodec(codecsOf(schema), parts[0] as string), parts, PARTITION));
};

describe('records', () => {
  test('are read as they were written, with any text in them', async () => {
    const { events, tables } = await world();
    expect(events.length).toBeGreaterThanOrEqual(3);
    for (const event of events) {
      expect(writeEvent(event)).not.toContain('\n');
      expect(readBack(event)).toEqual(plain(event));
    }
    let entities = 0;
    ENTITY_KINDS.forEach((kind, index) => {
      for (const entity of tables[kind]) {
        const codec = OWN_CODECS.entities[index] as (typeof OWN_CODECS.entities)[number];
        const id = (entity as Record<string, string>)[codec.key] as string;
        const line = writeEntity(index, id, entity);
        expect(line).not.toContain('\n');
        expect(plain(readEntity(codec, line.split(UNIT), PARTITION))).toEqual([id, plain(entity)]);
        entities += 1;
      }
    });
    expect(entities).toBeGreaterThanOrEqual(3);
  });

  test('of an older package lack newer facts, which get their fallbacks', async () => {
    const { events } = await world();
    const [created] = events as [Event];
    const { c } = SCHEMA.events as { c: Schema['events'][string] };
    // The last fact of the last text did not exist yet.
    const texts = c.texts.map((names) => [...names]);
    const [gone] = (texts.at(-1) as string[]).splice(-1);
    const older: Schema = {
      ...SCHEMA,
      events: { ...SCHEMA.events, c: { ...c, texts: texts.filter(({ length }) => length > 0) } },
    };
    expect(readBack({ ...created, [gone as string]: undefined } as Event, older)).toEqual(
      plain({ ...created, [gone as string]: undefined }),
    );
  });

  test('of a newer package are refused, because unknown facts would be lost', async () => {
    const { events } = await world();
    const [created] = events as [Event];
    const { c } = SCHEMA.events as { c: Schema['events'][string] };
    const newerFact: Schema = { ...SCHEMA, events: { ...SCHEMA.events, c: { ...c, texts: [...c.texts, ['later']] } } };
    expect(() => readBack(created, newerFact)).toThrow(/^library_mismatch: .*the fact "later" of execution_created/);
    const newerKind: Schema = { ...SCHEMA, entities: [...SCHEMA.entities, { kind: 'comet', texts: [] }] };
    expect(() => codecsOf(newerKind)).toThrow(/^library_mismatch: .*entities "comet"/);
    expect(() => eventCodec(OWN_CODECS, 'ZZ')).toThrow(/^library_mismatch: .*an event "ZZ"/);
  });
});

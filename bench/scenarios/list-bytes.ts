/** What one terminal execution takes in each list that it stands in, by `MEMORY USAGE` of the keys of the list. */
import { KEYS } from '../../lua/layout.js';
import { partitionKeyOf } from '../../model/ids.js';
import { valkey } from '../../src/valkey/index.js';
import { createMany } from '../calls.js';
import { groups, listBytesRows } from '../names.js';
import type { Row } from '../rows.js';
import { withServer, type Scenario } from '../scenario.js';
import type { BenchServer } from '../server.js';

/** Not reduced in the quick form: the fixed memory of a partition would distort the figure. */
const EXECUTIONS = 20_000;
const FILL_CALL = 500;

const PREFIX = 'lists:';
const PARTITION = partitionKeyOf(0);
const TAG = 'a.team';
/** Values of the tag: a shelf each. */
const VALUES = 10;

export const listBytesScenario: Scenario = {
  name: 'list-bytes',
  title: 'bytes per terminal execution and list',
  run: () =>
    withServer({ appendonly: false }, async (server) => {
      await fill(server);
      const start = `${PREFIX}${PARTITION}:`;
      // Shelves of tags have a value in their names; that of an outcome is one letter.
      const isOfTag = (key: string): boolean => key.includes(TAG);
      const usage = await server.memoryOf(start);
      const sum = (wanted: (name: string, key: string) => boolean): number =>
        [...usage].reduce((total, [key, bytes]) => total + (wanted(key.slice(start.length), key) ? bytes : 0), 0);
      const isShelf = (name: string): boolean => name.startsWith(KEYS.shelf) || name.startsWith(KEYS.shelved);
      const row = (name: string, bytes: number): Row => ({
        ...{ group: groups.listBytes, name, unit: 'B', values: [bytes / EXECUTIONS] },
      });
      return [
        row(
          listBytesRows.all,
          sum((name) => name === KEYS.ids || name.startsWith(KEYS.leaf)),
        ),
        row(
          listBytesRows.outcome,
          sum((name, key) => isShelf(name) && !isOfTag(key)),
        ),
        row(
          listBytesRows.tag,
          sum((name, key) => isShelf(name) && isOfTag(key)),
        ),
      ];
    }),
};

/** Creates executions with a tag that is indexed, and cancels them: what ends without success stands on a shelf. */
async function fill(server: BenchServer): Promise<void> {
  const backend = await valkey({
    ...{ url: server.address.url, prefix: PREFIX, partitions: { count: 1 }, indexedTags: [TAG] },
  });
  try {
    for (let made = 0; made < EXECUTIONS; made += FILL_CALL) {
      const tags = { [TAG]: `team-${(made / FILL_CALL) % VALUES}` };
      const ids = await createMany(backend, FILL_CALL, { tags });
      const results = await backend.execute(
        ids.map((executionId) => ({
          name: 'cancelExecution' as const,
          args: { executionId, reason: 'r', source: 'operator_override' as const },
        })),
      );
      for (const result of results) if (!result.ok) throw result.error;
    }
  } finally {
    await backend.close();
  }
}

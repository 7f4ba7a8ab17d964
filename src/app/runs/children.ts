/** The children that the handler of a run has started. */
import { LIMITS } from '../../../model/limits.js';
import type { Backend } from '../../backend/backend.js';
import { ChildRows } from '../flow/child-rows.js';
import type { FlowChild } from '../flow/flow.js';
import { unlessUnreadable } from '../../shared/unreadable.js';
import { patiently, type Caller } from '../patience.js';

/** The children, in no order, without children with damaged records. @throws every error of the reads */
export async function* childrenOfRun(
  surroundings: Caller & { readonly backend: Backend },
  executionId: string,
): AsyncGenerator<FlowChild, void, undefined> {
  const { backend } = surroundings;
  const call = <T>(read: () => Promise<T>): Promise<T> => patiently(surroundings, read);
  const rows = new ChildRows(backend, call);
  let cursor: string | undefined;
  do {
    const page = await call(() =>
      backend.listEdges({ executionId, direction: 'incoming', cursor, limit: LIMITS.maxListPage }),
    );
    // Edges of round 0 lead from other members of its flow, which are no children.
    const ids = page.edges.filter(({ round }) => round > 0).map(({ upstreamExecutionId }) => upstreamExecutionId);
    const infoOf = (id: string) =>
      unlessUnreadable(
        () => call(() => backend.readExecutionInfo({ executionId: id })),
        () => undefined,
      );
    for (const info of await Promise.all(ids.map(infoOf))) if (info !== undefined) yield await rows.of(info);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
}

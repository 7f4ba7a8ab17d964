/**
 * Executions in order of a score, ties by id: what a sorted set of the server is. A list of small sorted arrays: work
 * mostly arrives at the end and leaves at the front, and both cost the same however long the list is; anything else
 * costs two binary searches and a move inside one small array. Nothing is allocated per entry.
 */
import type { ReadonlyExecution } from '../../model/execution/facts.js';

/** Entries of one array: moving half of them must stay cheap, and so must the list of arrays. */
const MAX_CHUNK = 512;

interface Chunk {
  readonly scores: number[];
  /** Beside the scores; apart, so that a search touches numbers only. */
  readonly executions: ReadonlyExecution[];
}

/** An entry as it is shown outside. */
export interface Position {
  readonly score: number;
  readonly id: string;
}

export class OrderedIndex {
  /** Never an empty chunk. */
  private readonly chunks: Chunk[] = [];
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** The entry that comes first. */
  get first(): ReadonlyExecution | undefined {
    return this.chunks[0]?.executions[0];
  }

  /** Score of the entry that comes first. */
  get firstScore(): number | undefined {
    return this.chunks[0]?.scores[0];
  }

  /** Adds an execution that is not yet in the index under this score. */
  add(score: number, execution: ReadonlyExecution): void {
    this.count += 1;
    const lastIndex = this.chunks.length - 1;
    const last = this.chunks[lastIndex];
    if (last === undefined) {
      this.chunks.push({ scores: [score], executions: [execution] });
    } else if (isBefore(last, last.scores.length - 1, score, execution.executionId)) {
      if (last.scores.length < MAX_CHUNK) append(last, score, execution);
      else this.chunks.push({ scores: [score], executions: [execution] });
    } else {
      const index = this.chunkFor(score, execution.executionId);
      const chunk = this.chunks[index] as Chunk;
      const at = placeIn(chunk, score, execution.executionId);
      chunk.scores.splice(at, 0, score);
      chunk.executions.splice(at, 0, execution);
      if (chunk.scores.length > MAX_CHUNK) this.split(index);
    }
  }

  /** Removes an execution that was added under this score; does nothing when it is not there. */
  remove(score: number, id: string): void {
    const first = this.chunks[0];
    if (first === undefined) return;
    // What leaves is mostly what comes first: then nothing has to be searched.
    if (isAt(first, 0, score, id)) {
      this.removeAt(0, 0);
      return;
    }
    const index = this.chunkFor(score, id);
    const chunk = this.chunks[index];
    if (chunk === undefined) return;
    const at = placeIn(chunk, score, id);
    if (isAt(chunk, at, score, id)) this.removeAt(index, at);
  }

  /** The first executions in order, at most `limit`, as long as their score is at most `maxScore`. */
  head(limit: number, maxScore = Infinity): ReadonlyExecution[] {
    const first = this.chunks[0];
    // The common case, without an array that grows.
    if (first !== undefined && limit <= first.scores.length && maxScore === Infinity)
      return first.executions.slice(0, limit);
    const head: ReadonlyExecution[] = [];
    for (const { scores, executions } of this.chunks) {
      for (let i = 0; i < scores.length; i++) {
        if (head.length >= limit || (scores[i] as number) > maxScore) return head;
        head.push(executions[i] as ReadonlyExecution);
      }
    }
    return head;
  }

  /** Executions strictly after a position, at most `limit`. */
  after(score: number, id: string, limit: number): ReadonlyExecution[] {
    const found: ReadonlyExecution[] = [];
    for (let index = this.chunkFor(score, id); index < this.chunks.length; index++) {
      const chunk = this.chunks[index] as Chunk;
      let at = found.length === 0 ? placeIn(chunk, score, id) : 0;
      if (chunk.scores[at] === score && chunk.executions[at]?.executionId === id) at++;
      for (; at < chunk.scores.length; at++) {
        if (found.length >= limit) return found;
        found.push(chunk.executions[at] as ReadonlyExecution);
      }
    }
    return found;
  }

  /** Every entry, in order. */
  *positions(): Generator<Position> {
    for (const { scores, executions } of this.chunks) {
      for (const [i, { executionId }] of executions.entries()) yield { score: scores[i] as number, id: executionId };
    }
  }

  /** Index of the first chunk that does not end before the position; the number of chunks when all do. */
  private chunkFor(score: number, id: string): number {
    let low = 0;
    let high = this.chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const chunk = this.chunks[middle] as Chunk;
      if (isBefore(chunk, chunk.scores.length - 1, score, id)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private removeAt(index: number, at: number): void {
    const { scores, executions } = this.chunks[index] as Chunk;
    this.count -= 1;
    if (scores.length === 1) {
      if (index === 0) this.chunks.shift();
      else this.chunks.splice(index, 1);
    } else if (at === 0) {
      scores.shift();
      executions.shift();
    } else {
      scores.splice(at, 1);
      executions.splice(at, 1);
    }
  }

  private split(index: number): void {
    const chunk = this.chunks[index] as Chunk;
    const half = chunk.scores.length >>> 1;
    this.chunks.splice(index + 1, 0, { scores: chunk.scores.splice(half), executions: chunk.executions.splice(half) });
  }
}

function append(chunk: Chunk, score: number, execution: ReadonlyExecution): void {
  chunk.scores.push(score);
  chunk.executions.push(execution);
}

/** Whether the entry at this place is the one of the position. */
function isAt(chunk: Chunk, at: number, score: number, id: string): boolean {
  return chunk.scores[at] === score && chunk.executions[at]?.executionId === id;
}

/** Whether the entry comes strictly before the position. Ids are ASCII: the order of texts is the order of bytes. */
function isBefore(chunk: Chunk, at: number, score: number, id: string): boolean {
  const entryScore = chunk.scores[at] as number;
  return entryScore < score || (entryScore === score && (chunk.executions[at] as ReadonlyExecution).executionId < id);
}

/** Index of the first entry of the chunk that is not before the position. */
function placeIn(chunk: Chunk, score: number, id: string): number {
  let low = 0;
  let high = chunk.scores.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(chunk, middle, score, id)) low = middle + 1;
    else high = middle;
  }
  return low;
}

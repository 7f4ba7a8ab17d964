/**
 * Items ordered by score, ties by id, like a sorted set of the server. It is a list of small sorted arrays: work mostly
 * arrives at the end and leaves at the front, at a cost that does not depend on the size; other changes cost two binary
 * searches and a move inside one small array. Nothing is allocated per entry.
 */
import { present } from '../../model/core/present.js';

/** Most entries of one array, so that both moving half of them and searching the list of arrays are cheap. */
const MAX_CHUNK = 512;

interface Chunk<Item> {
  readonly scores: number[];
  /** Parallel to the scores, so that a search only reads numbers, and ids only for equal scores. */
  readonly ids: string[];
  readonly items: Item[];
}

/** The position of an entry. */
export interface Position {
  readonly score: number;
  readonly id: string;
}

export class OrderedIndex<Item> {
  /** Without empty chunks. */
  private readonly chunks: Chunk<Item>[] = [];
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** The first item. */
  get first(): Item | undefined {
    return this.chunks[0]?.items[0];
  }

  /** Score of the first entry. */
  get firstScore(): number | undefined {
    return this.chunks[0]?.scores[0];
  }

  /** Score of the last entry. */
  get lastScore(): number | undefined {
    return this.chunks.at(-1)?.scores.at(-1);
  }

  /** Adds an item that is not yet in the index under this score. */
  add(score: number, id: string, item: Item): void {
    this.count += 1;
    const lastIndex = this.chunks.length - 1;
    const last = this.chunks[lastIndex];
    if (last === undefined) {
      this.chunks.push({ scores: [score], ids: [id], items: [item] });
    } else if (isBefore(last, last.scores.length - 1, score, id)) {
      if (last.scores.length < MAX_CHUNK) append(last, score, id, item);
      else this.chunks.push({ scores: [score], ids: [id], items: [item] });
    } else {
      const index = this.chunkFor(score, id);
      const chunk = present(this.chunks[index]);
      const at = placeIn(chunk, score, id);
      chunk.scores.splice(at, 0, score);
      chunk.ids.splice(at, 0, id);
      chunk.items.splice(at, 0, item);
      if (chunk.scores.length > MAX_CHUNK) this.split(index);
    }
  }

  /** Removes an item that was added under this score, if it is in the index. */
  remove(score: number, id: string): void {
    const first = this.chunks[0];
    if (first === undefined) return;
    // Mostly the first entry is removed, which needs no search.
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

  /** The first items, at most `limit`, with scores up to `maxScore`. */
  head(limit: number, maxScore = Infinity): Item[] {
    const first = this.chunks[0];
    // The common case, without growing an array.
    if (first !== undefined && limit <= first.scores.length && maxScore === Infinity)
      return first.items.slice(0, limit);
    const head: Item[] = [];
    for (const { scores, items } of this.chunks) {
      for (let i = 0; i < scores.length; i++) {
        if (head.length >= limit || present(scores[i]) > maxScore) return head;
        head.push(present(items[i]));
      }
    }
    return head;
  }

  /** The first entries, of those strictly after `behind` if given, at most `limit`, with scores up to `maxScore`. */
  entries(limit: number, maxScore: number, behind?: Position): (Position & { readonly item: Item })[] {
    const found: (Position & { readonly item: Item })[] = [];
    const start = behind === undefined ? 0 : this.chunkFor(behind.score, behind.id);
    for (let index = start; index < this.chunks.length; index++) {
      const chunk = present(this.chunks[index]);
      const { scores, ids, items } = chunk;
      let at = 0;
      if (index === start && behind !== undefined) {
        at = placeIn(chunk, behind.score, behind.id);
        if (isAt(chunk, at, behind.score, behind.id)) at++;
      }
      for (; at < scores.length; at++) {
        const score = present(scores[at]);
        if (found.length >= limit || score > maxScore) return found;
        found.push({ score, id: present(ids[at]), item: present(items[at]) });
      }
    }
    return found;
  }

  /** Items strictly after a position, lazily; the index must not change during the iteration. */
  *behind(score: number, id: string): Generator<Item, void, undefined> {
    for (let index = this.chunkFor(score, id), first = true; index < this.chunks.length; index++, first = false) {
      const chunk = present(this.chunks[index]);
      let at = first ? placeIn(chunk, score, id) : 0;
      if (first && isAt(chunk, at, score, id)) at++;
      for (; at < chunk.items.length; at++) yield present(chunk.items[at]);
    }
  }

  /** Items strictly after a position, at most `limit`. */
  after(score: number, id: string, limit: number): Item[] {
    const found: Item[] = [];
    for (let index = this.chunkFor(score, id); index < this.chunks.length; index++) {
      const chunk = present(this.chunks[index]);
      let at = found.length === 0 ? placeIn(chunk, score, id) : 0;
      if (isAt(chunk, at, score, id)) at++;
      for (; at < chunk.scores.length; at++) {
        if (found.length >= limit) return found;
        found.push(present(chunk.items[at]));
      }
    }
    return found;
  }

  /** Items strictly before a position, or all, in descending order. */
  *backwards(score: number, id: string | undefined): Generator<Item> {
    const from = id === undefined ? this.chunks.length - 1 : this.chunkFor(score, id);
    for (let index = Math.min(from, this.chunks.length - 1); index >= 0; index--) {
      const chunk = present(this.chunks[index]);
      let at = index === from && id !== undefined ? placeIn(chunk, score, id) : chunk.scores.length;
      while (at > 0) yield present(chunk.items[--at]);
    }
  }

  /** Every entry, in order. */
  *positions(): Generator<Position> {
    for (const { scores, ids } of this.chunks) {
      for (const [i, id] of ids.entries()) yield { score: present(scores[i]), id };
    }
  }

  /** Index of the first chunk that does not end before the position; the number of chunks if all do. */
  private chunkFor(score: number, id: string): number {
    let low = 0;
    let high = this.chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const chunk = present(this.chunks[middle]);
      if (isBefore(chunk, chunk.scores.length - 1, score, id)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private removeAt(index: number, at: number): void {
    const { scores, ids, items } = present(this.chunks[index]);
    this.count -= 1;
    if (scores.length === 1) {
      if (index === 0) this.chunks.shift();
      else this.chunks.splice(index, 1);
    } else if (at === 0) {
      scores.shift();
      ids.shift();
      items.shift();
    } else {
      scores.splice(at, 1);
      ids.splice(at, 1);
      items.splice(at, 1);
    }
  }

  private split(index: number): void {
    const chunk = present(this.chunks[index]);
    const half = chunk.scores.length >>> 1;
    this.chunks.splice(index + 1, 0, {
      scores: chunk.scores.splice(half),
      ids: chunk.ids.splice(half),
      items: chunk.items.splice(half),
    });
  }
}

function append<Item>(chunk: Chunk<Item>, score: number, id: string, item: Item): void {
  chunk.scores.push(score);
  chunk.ids.push(id);
  chunk.items.push(item);
}

/** Whether the entry at this index has the position. */
function isAt(chunk: Chunk<unknown>, at: number, score: number, id: string): boolean {
  return chunk.scores[at] === score && chunk.ids[at] === id;
}

/** Whether the entry is strictly before the position. Ids are ASCII, so text order is byte order. */
function isBefore(chunk: Chunk<unknown>, at: number, score: number, id: string): boolean {
  const entryScore = present(chunk.scores[at]);
  return entryScore < score || (entryScore === score && present(chunk.ids[at]) < id);
}

/** Index of the first entry of the chunk that is not before the position. */
function placeIn(chunk: Chunk<unknown>, score: number, id: string): number {
  let low = 0;
  let high = chunk.scores.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(chunk, middle, score, id)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Merges several ordered sources. */
export function* merged<Item>(
  sources: readonly Iterator<Item, void, undefined>[],
  compare: (a: Item, b: Item) => number,
): Generator<Item, void, undefined> {
  const heads = sources.map((source) => source.next());
  for (;;) {
    let best = -1;
    for (const [i, head] of heads.entries()) {
      if (head.done === true) continue;
      const first = heads[best];
      if (first === undefined || first.done === true || compare(head.value, first.value) < 0) best = i;
    }
    const head = heads[best];
    if (head === undefined || head.done === true) return;
    yield head.value;
    heads[best] = present(sources[best]).next();
  }
}

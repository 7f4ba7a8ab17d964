import { decode, encode, type SourceMapSegment } from '@jridgewell/sourcemap-codec';
import { dirname, posix } from 'node:path';
import type { OutputAsset, OutputBundle, Plugin } from 'rolldown';
import { isShipped } from './entries.js';

/** The members of a source map that change here. */
interface Mapped {
  readonly sources: readonly string[];
  readonly mappings: string;
}

/**
 * The same map by lines, of the sources that `keeps` takes: positions that stay on the line of the one before, and
 * names, are left out. Where code of another source begins, a position without a source ends what came before.
 */
export function byLine({ sources, mappings }: Mapped, keeps: (source: string) => boolean): Mapped {
  const kept = sources.filter(keeps);
  let endsUnmapped = true;
  const lines = decode(mappings).map((line) => {
    const positions: SourceMapSegment[] = [];
    let before: SourceMapSegment | undefined;
    for (const segment of line) {
      const [column, source = -1, sourceLine = -1, sourceColumn = 0] = segment;
      const place = kept.indexOf(sources[source] ?? '');
      if (place < 0) {
        if (!endsUnmapped) positions.push([column]);
        endsUnmapped = true;
      } else {
        if (endsUnmapped || before?.[1] !== place || before[2] !== sourceLine)
          positions.push([column, place, sourceLine, sourceColumn]);
        endsUnmapped = false;
      }
      before = [column, place, sourceLine, sourceColumn];
    }
    return positions;
  });
  return { sources: kept, mappings: encode(lines) };
}

/**
 * Source maps that lead to the right line of the sources in the package. Columns within a line are dropped: they would
 * be four fifths of the maps. What lies below the layer that users program against is seen as the code that runs.
 *
 * @param dir where the files are written, relative to the root
 */
export function mapsByLine(dir: string): Plugin {
  return {
    name: 'maps-by-line',
    generateBundle(_options, bundle: OutputBundle) {
      for (const file of Object.values(bundle)) {
        if (file.type === 'asset' && file.fileName.endsWith('.map')) shorten(file, dir);
      }
    },
  };
}

function shorten(asset: OutputAsset, dir: string): void {
  const map = JSON.parse(String(asset.source)) as Mapped;
  const folder = posix.join(dir, dirname(asset.fileName));
  const leadsTo = (source: string): boolean => isShipped(posix.join(folder, source));
  asset.source = JSON.stringify({ ...map, names: [], ...byLine(map, leadsTo) });
}

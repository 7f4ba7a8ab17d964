import { decode, encode, type SourceMapSegment } from '@jridgewell/sourcemap-codec';
import type { OutputAsset, OutputBundle, Plugin } from 'rolldown';

/** A position of the output that begins a line of a source. */
function beginsLine(segment: SourceMapSegment, previous: SourceMapSegment | undefined): boolean {
  return segment.length > 1 && (previous === undefined || segment[1] !== previous[1] || segment[2] !== previous[2]);
}

/** The same mappings by lines: positions that stay on the line of the one before, and names, are left out. */
export function byLine(mappings: string): string {
  const lines = decode(mappings).map((line) =>
    line.filter((segment, index) => beginsLine(segment, line[index - 1])).map((segment) => segment.slice(0, 4)),
  );
  return encode(lines as SourceMapSegment[][]);
}

/**
 * Source maps that lead to the right line. Columns within a line are dropped: they would be four fifths of the maps,
 * and the maps a quarter of the package. The sources themselves are shipped once, beside `dist`, for both formats.
 */
export function mapsByLine(): Plugin {
  return {
    name: 'maps-by-line',
    generateBundle(_options, bundle: OutputBundle) {
      for (const file of Object.values(bundle)) {
        if (file.type === 'asset' && file.fileName.endsWith('.map')) shorten(file);
      }
    },
  };
}

function shorten(asset: OutputAsset): void {
  const map = JSON.parse(String(asset.source)) as { names: string[]; mappings: string };
  asset.source = JSON.stringify({ ...map, names: [], mappings: byLine(map.mappings) });
}

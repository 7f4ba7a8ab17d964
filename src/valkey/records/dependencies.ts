/** Dependencies of an execution, from the hash beside its record. */
import { facetCodec } from '../../../model/core/codec.js';
import { dependencyFacts, type Dependencies } from '../../../model/flow/facts.js';
import { uuidOf } from '../../../model/short-id.js';

const CODEC = facetCodec(dependencyFacts);

/** Undefined without edges. @throws EngineError `corruption` */
export function decodeDependencies(fields: ReadonlyMap<string, string>): Dependencies | undefined {
  if (fields.size === 0) return undefined;
  return Object.fromEntries([...fields].map(([edgeId, text]) => [uuidOf(edgeId), CODEC.decode(text)]));
}

// Writes the vectors: `npx tsx spec/vectors/make.ts`. A change of any byte here is a change of the protocol.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { computedVectors } from './keys-vectors.ts';
import { opEdgeCases } from './op-edge-cases.ts';
import { invalidVectors, validVectors } from './wire-vectors.ts';

const files = {
  'wire-valid.json': { valid: validVectors },
  'wire-invalid.json': { invalid: invalidVectors },
  'keys.json': { computed: await computedVectors() },
  'ed25519-edge-cases.json': { computed: opEdgeCases() },
};

for (const [name, content] of Object.entries(files)) {
  writeFileSync(fileURLToPath(new URL(name, import.meta.url)), vectorFile(content));
}

/** One vector a line, so that a diff shows which changed. */
function vectorFile(content: Record<string, readonly unknown[]>): string {
  const lists = Object.entries(content).map(
    ([name, vectors]) => `"${name}": [\n${vectors.map((vector) => JSON.stringify(vector)).join(',\n')}\n]`,
  );
  return `{\n${lists.join(',\n')}\n}\n`;
}

// What the rest of the mesh asks of the node: one question, one answer. mesh/signaling-client.ts carries it.
import type { NodeAnswer, NodeQuestion } from './node-requests.ts';

export interface NodeLine {
  /** Rejects with NodeRefusal (mesh/node-requests.ts). */
  request<Q extends NodeQuestion>(question: Q): Promise<NodeAnswer<Q['type']>>;
}

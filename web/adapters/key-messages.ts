// What page and key worker say to each other: calls of the key agent by number, and their outcomes.
import type { KeyAgent } from '../../keys/key-agent.ts';
import { explain, type KeyRefusalCode } from '../../keys/key-refusal.ts';

export type AgentMethod = keyof KeyAgent;

export type AgentCall = { [M in AgentMethod]: { no: number; method: M; args: Parameters<KeyAgent[M]> } }[AgentMethod];

export type AgentOutcome =
  | { no: number; result: unknown }
  | { no: number; refused: KeyRefusalCode }
  | { no: number; broken: string };

export function isRefusalCode(code: unknown): code is KeyRefusalCode {
  return typeof code === 'string' && Object.hasOwn(explain, code);
}

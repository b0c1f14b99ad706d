// The key worker: where the private OpenPGP key lives while it is unlocked, and the only place in the browser where OpenPGP runs.
import { type KeyAgent, localKeyAgent } from '../../keys/key-agent.ts';
import { KeyRefusal } from '../../keys/key-refusal.ts';
import type { AgentCall, AgentOutcome } from './key-messages.ts';

const agent = localKeyAgent();

addEventListener('message', (event: MessageEvent<AgentCall>) => {
  const { no } = event.data;
  perform(agent, event.data).then(
    (result) => answer({ no, result }),
    (error: unknown) =>
      answer(
        error instanceof KeyRefusal
          ? { no, refused: error.code }
          : { no, broken: error instanceof Error ? error.name : 'unknown' },
      ),
  );
});

function answer(outcome: AgentOutcome): void {
  postMessage(outcome);
}

async function perform(to: KeyAgent, call: AgentCall): Promise<unknown> {
  switch (call.method) {
    case 'generate':
      return to.generate(...call.args);
    case 'import':
      return to.import(...call.args);
    case 'unlock':
      return to.unlock(...call.args);
    case 'relock':
      return to.relock(...call.args);
    case 'lock':
      return to.lock();
    case 'open':
      return to.open(...call.args);
    case 'allowMoreChallenges':
      return to.allowMoreChallenges();
    case 'sign':
      return to.sign(...call.args);
    case 'seal':
      return to.seal(...call.args);
    case 'verify':
      return to.verify(...call.args);
    case 'readCertificate':
      return to.readCertificate(...call.args);
    case 'stripCertificate':
      return to.stripCertificate(...call.args);
    case 'mergeCertificate':
      return to.mergeCertificate(...call.args);
    default:
      return call satisfies never;
  }
}

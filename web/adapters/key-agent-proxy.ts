// The key agent as the page sees it: every call goes to the key worker, which alone holds the unlocked key.
import type { KeyAgent } from '../../keys/key-agent.ts';
import { KeyRefusal } from '../../keys/key-refusal.ts';
import { type AgentCall, type AgentMethod, isRefusalCode } from './key-messages.ts';

type Waiting = { resolve(result: unknown): void; reject(error: Error): void };

/** The worker could not be loaded, or broke. Nothing that it was asked for was done for sure. */
export class KeyWorkerFailure extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'KeyWorkerFailure';
  }
}

const workerAddress = '/key-worker.js';

/** Numbers of calls begin at 1: the answer to this one is waited for by nobody. */
const wipe: AgentCall = { no: 0, method: 'lock', args: [] };

/** The worker starts with the first call. */
export class KeyAgentProxy implements KeyAgent {
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #calls = 0;
  /** Whether a key may have been unlocked in this worker since it was locked last. */
  #isUsed = false;

  generate: KeyAgent['generate'] = (...args) => this.#call('generate', args);
  import: KeyAgent['import'] = (...args) => this.#call('import', args);
  unlock: KeyAgent['unlock'] = (...args) => {
    this.#isUsed = true;
    return this.#call('unlock', args);
  };
  relock: KeyAgent['relock'] = (...args) => this.#call('relock', args);
  open: KeyAgent['open'] = (...args) => this.#call('open', args);
  allowMoreChallenges: KeyAgent['allowMoreChallenges'] = () => this.#call('allowMoreChallenges', []);
  sign: KeyAgent['sign'] = (...args) => this.#call('sign', args);
  seal: KeyAgent['seal'] = (...args) => this.#call('seal', args);
  verify: KeyAgent['verify'] = (...args) => this.#call('verify', args);
  readCertificate: KeyAgent['readCertificate'] = (...args) => this.#call('readCertificate', args);
  stripCertificate: KeyAgent['stripCertificate'] = (...args) => this.#call('stripCertificate', args);
  mergeCertificate: KeyAgent['mergeCertificate'] = (...args) => this.#call('mergeCertificate', args);

  /** Loads the worker now: without the node it cannot be had later. */
  start(): void {
    this.#running();
  }

  /**
   * The key is wiped, and what was asked and not answered rejects. The worker ends as soon as another is there to take its place; where none can be
   * loaded it stays, without a key, so that the person can unlock again.
   */
  async lock(): Promise<void> {
    this.#fail('the key is locked');
    const old = this.#worker;
    if (old === undefined) return;
    old.postMessage(wipe);
    this.#isUsed = false;
    const next = startWorker();
    next.addEventListener('error', () => next.terminate());
    next.addEventListener('message', () => this.#replace(old, next), { once: true });
    next.postMessage(wipe);
  }

  #call<M extends AgentMethod>(method: M, args: Parameters<KeyAgent[M]>): ReturnType<KeyAgent[M]>;
  #call(method: AgentMethod, args: unknown[]): Promise<unknown> {
    const no = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiting.set(no, { resolve, reject });
      this.#running().postMessage({ no, method, args });
    });
  }

  #running(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    return this.#use(startWorker());
  }

  #use(worker: Worker): Worker {
    worker.addEventListener('message', ({ data }: MessageEvent<unknown>) => this.#answered(data));
    worker.addEventListener('messageerror', () => this.#broke(worker));
    worker.addEventListener('error', () => this.#broke(worker));
    this.#worker = worker;
    return worker;
  }

  /** Unless the old one is at work again. */
  #replace(old: Worker, next: Worker): void {
    const isIdle = this.#worker === old && this.#waiting.size === 0 && !this.#isUsed;
    if (!isIdle) return next.terminate();
    old.terminate();
    this.#use(next);
  }

  #answered(outcome: unknown): void {
    if (typeof outcome !== 'object' || outcome === null || !('no' in outcome) || typeof outcome.no !== 'number') return;
    const waiting = this.#waiting.get(outcome.no);
    this.#waiting.delete(outcome.no);
    if (waiting === undefined) return;
    if ('refused' in outcome && isRefusalCode(outcome.refused)) return waiting.reject(new KeyRefusal(outcome.refused));
    if ('result' in outcome) return waiting.resolve(outcome.result);
    waiting.reject(
      new KeyWorkerFailure('broken' in outcome ? `the key worker failed: ${String(outcome.broken)}` : 'the key worker failed'),
    );
  }

  #broke(worker: Worker): void {
    if (this.#worker !== worker) return;
    worker.terminate();
    this.#worker = undefined;
    this.#fail('the key worker could not be loaded');
  }

  #fail(why: string): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new KeyWorkerFailure(why));
  }
}

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

let policy: { createScriptURL(url: string): string } | undefined;

/** Under Trusted Types no script is loaded but through a policy, and this one knows one address. */
function startWorker(): Worker {
  policy ??= trustedTypesOf(globalThis)?.createPolicy('secure-worker', {
    createScriptURL(url) {
      if (url !== workerAddress) throw new TypeError('no other script');
      return url;
    },
  });
  const address = policy === undefined ? workerAddress : policy.createScriptURL(workerAddress);
  return new Worker(address, { type: 'module', name: 'keys' });
}

function trustedTypesOf(scope: object): TrustedTypes | undefined {
  const isThere = (value: object): value is { trustedTypes: TrustedTypes } =>
    'trustedTypes' in value && value.trustedTypes !== undefined;
  return isThere(scope) ? scope.trustedTypes : undefined;
}
